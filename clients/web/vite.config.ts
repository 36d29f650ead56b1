import { defineConfig } from "vitest/config";

// The server serves what is built here; see clients/web/README.md.
const PAGE = process.env.HOOKE_PAGE ?? "../../server/hooke_server/web";

export default defineConfig({
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  server: { proxy: { "/hooke.v1.": process.env.HOOKE_WEB ?? "http://localhost:8080" } },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}"] },
});
