/** Whatever makes invocations: HTTP, a timer, a queue. */
export interface Listener {
  /** Takes nothing new, and resolves when what runs has ended. */
  drain(): Promise<void>;
  /** Lets go of connections, whatever still runs. */
  close(): Promise<void>;
}
