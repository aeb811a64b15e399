/**
 * The three functions of the reflect-metadata proposal that `tsyringe` asks for at load time.
 * `@peculiar/x509` brings tsyringe but no polyfill, so this must be imported before it.
 */
interface MetadataReflection {
  defineMetadata(key: unknown, value: unknown, target: object): void;
  getOwnMetadata(key: unknown, target: object): unknown;
  getMetadata(key: unknown, target: object): unknown;
}

const metadata = new WeakMap<object, Map<unknown, unknown>>();

const reflection: MetadataReflection = {
  defineMetadata(key, value, target) {
    const own = metadata.get(target) ?? new Map<unknown, unknown>();
    metadata.set(target, own.set(key, value));
  },
  getOwnMetadata(key, target) {
    return metadata.get(target)?.get(key);
  },
  getMetadata(key, target) {
    const own = metadata.get(target);
    if (own?.has(key)) {
      return own.get(key);
    }
    const parent: object | null = Object.getPrototypeOf(target);
    return parent === null ? undefined : reflection.getMetadata(key, parent);
  },
};

if (!('getMetadata' in Reflect)) {
  Object.assign(Reflect, reflection);
}
