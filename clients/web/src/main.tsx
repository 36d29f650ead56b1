/** Starts the page. */

import { createConnectTransport } from "@connectrpc/connect-web";
import { render } from "preact";
import { listen } from "./address";
import { App } from "./app";
import { Server, ServerContext } from "./server/server";
import "./styles/index.css";

const transport = createConnectTransport({ baseUrl: location.origin, useBinaryFormat: true });
const root = document.getElementById("page");

listen();
if (root)
  render(
    <ServerContext.Provider value={new Server(transport)}>
      <App />
    </ServerContext.Provider>,
    root,
  );
