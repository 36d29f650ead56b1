/** The address bar: all state of the page that is worth a permalink. */

import { computed, signal } from "@preact/signals";

const href = signal(location.href);

/** The path, percent-encoded as it stands in the bar. */
export const path = computed(() => new URL(href.value).pathname);

/** The query. */
export const query = computed(() => new URL(href.value).searchParams);

/** Go to another address of the page. */
export function go(to: string, { replace = false } = {}): void {
  const target = new URL(to, location.href).href;
  if (target === href.peek()) return;
  if (replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  const moved = new URL(target).pathname !== new URL(href.peek()).pathname;
  href.value = target;
  if (moved) scrollTo(0, 0);
}

/** Names of what was asked of the very thing that the rest of the address shows. */
const PASSING = ["evidence"];

/** The present address, to be changed: what was asked of the old one goes. */
function toBeChanged(): URL {
  const url = new URL(href.value);
  for (const name of PASSING) url.searchParams.delete(name);
  return url;
}

/** The present address with some of its query changed; undefined and "" take a name out. */
export function withQuery(changes: Record<string, string | undefined>): string {
  const url = toBeChanged();
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return readable(url);
}

/** The present address with these values of a name that may stand there several times. */
export function withEach(name: string, values: readonly string[]): string {
  const url = toBeChanged();
  url.searchParams.delete(name);
  for (const value of values) url.searchParams.append(name, value);
  return readable(url);
}

/** The present path with nothing of the query but these names, and then changed. */
export function withOnly(
  kept: readonly string[],
  changes: Record<string, string | undefined>,
): string {
  const rest = [...query.value.keys()].filter((name) => !kept.includes(name));
  return withQuery({ ...Object.fromEntries(rest.map((name) => [name, undefined])), ...changes });
}

/** Path and query, with the characters that a query need not escape left as they are. */
function readable(url: URL): string {
  const search = url.search.replace(/%3A/gi, ":").replace(/%2F/gi, "/").replace(/%2C/gi, ",");
  return url.pathname + search;
}

/** Follow the bar, and turn clicks on the page's own links into moves. */
export function listen(): void {
  addEventListener("popstate", () => {
    href.value = location.href;
  });
  document.addEventListener("click", (event) => {
    const link = (event.target as Element | null)?.closest?.("a");
    const own = link?.origin === location.origin && !link.target && !link.download;
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey);
    if (!own || !plain || event.defaultPrevented || link.getAttribute("href")?.startsWith("#"))
      return;
    event.preventDefault();
    go(link.href);
  });
}
