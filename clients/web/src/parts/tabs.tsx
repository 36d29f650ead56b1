/** Parts of a view, each with a permalink of its own. */

import { query, withOnly } from "../address";
import { useStrip } from "./strip";

/** Links to the parts; the first is shown by itself. */
export function Tabs({ tabs }: { tabs: readonly { id: string; title: string }[] }) {
  const chosen = chosenTab(tabs);
  const strip = useStrip(chosen);
  return (
    <nav ref={strip} class="tabs" aria-label="Parts of this page">
      {tabs.map(({ id, title }, index) => (
        <a
          key={id}
          href={withOnly(["photo"], { tab: index === 0 ? undefined : id })}
          aria-current={id === chosen ? "page" : undefined}
        >
          {title}
        </a>
      ))}
    </nav>
  );
}

/** The part that the address names. */
export function chosenTab(tabs: readonly { id: string }[]): string {
  const named = query.value.get("tab");
  return tabs.find(({ id }) => id === named)?.id ?? tabs[0]?.id ?? "";
}
