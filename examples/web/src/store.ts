/** A value outside React that components follow. */
import { useSyncExternalStore } from "react";

export class Store<Value> {
  private readonly listeners = new Set<() => void>();

  constructor(private value: Value) {}

  readonly get = (): Value => this.value;

  readonly set = (value: Value): void => {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of this.listeners) listener();
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

export const useStore = <Value>(store: Store<Value>): Value => useSyncExternalStore(store.subscribe, store.get);

/** A store that the browser remembers under `key`. */
export function remembered(key: string, initial: string): Store<string> {
  const store = new Store(localStorage.getItem(key) ?? initial);
  store.subscribe(() => localStorage.setItem(key, store.get()));
  return store;
}
