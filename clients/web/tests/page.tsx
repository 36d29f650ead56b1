/** Rendering a part of the page against a server in memory. */

import { render } from "@testing-library/preact";
import type { ComponentChildren } from "preact";
import { go } from "../src/address";
import { ServerContext } from "../src/server/server";
import { type Bench, serverOf } from "./microscope";

/** Put it on the page at an address. */
export function show(part: ComponentChildren, bench: Bench, address = "/") {
  go(address, { replace: true });
  const server = serverOf(bench);
  return render(<ServerContext.Provider value={server}>{part}</ServerContext.Provider>);
}
