/** An exact name, or a prefix that ends in one `*`. */
export const namePattern = /^[^*]+\*?$|^\*$/;

export function fitsName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
