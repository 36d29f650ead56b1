/** A row of links that is wider than the screen. */

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** For the row: keeps the link to what is shown in sight; `chosen` tells which that is. */
export function useStrip(chosen: string | undefined): RefObject<HTMLElement | null> {
  const ref = useRef<HTMLElement>(null);
  useEffect(() => {
    const row = ref.current;
    const link = row?.querySelector<HTMLElement>("[aria-current]");
    if (!row || !link) return;
    row.scrollLeft = link.offsetLeft - row.offsetLeft - (row.clientWidth - link.clientWidth) / 2;
  }, [chosen]);
  return ref;
}
