/** The language of the page, and how it writes what comes from the server. */
import type { CombinedError } from "@urql/core";

import { chinese } from "./chinese";
import { english, type Text } from "./english";
import { codeOf } from "./session";
import { remembered, useStore } from "./store";

export type { Text };

export const language = remembered("labelgraph-language", navigator.language.startsWith("zh") ? "zh" : "en");
export const useText = (): Text => (useStore(language) === "zh" ? chinese : english);

/** The server's sentence; in Chinese ours, where there is one. */
export function sentence(text: Text, error: CombinedError): string {
  const code = String(codeOf(error) ?? "");
  const details = error.graphQLErrors[0]?.extensions["details"] as { expected?: number; actual?: number } | undefined;
  if (code === "COUNT_MISMATCH" && details) return text.countChanged(details.expected ?? 0, details.actual ?? 0);
  return text.errors[code] ?? error.graphQLErrors[0]?.message ?? text.lost;
}

/** The names in a text with commas between them. */
export const namesOf = (typed: string): string[] =>
  typed
    .split(/[,，]/)
    .map((name) => name.trim())
    .filter(Boolean);

/** A share as people read it, never more than it is: of 99.9 % something is missing. */
export const percent = (share: number): string => `${Math.floor(share * 100 + 1e-9)} %`;

/** Bytes as people read them. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
  return `${(count / 1024 ** power).toLocaleString(undefined, { maximumFractionDigits: 1 })} ${units[power]}`;
}
