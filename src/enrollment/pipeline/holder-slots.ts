/** Half of what host.json lets run at once: while half of an instance's invocations wait for DPS, the others merge. */
const holdersAtMost = 50;

export class HolderSlots {
  #taken = 0;

  forOneDelivery(): { take(): boolean; release(): void } {
    let has = false;
    return {
      take: () => {
        if (!has && this.#taken < holdersAtMost) {
          has = true;
          this.#taken++;
        }
        return has;
      },
      release: () => {
        this.#taken -= has ? 1 : 0;
        has = false;
      },
    };
  }
}
