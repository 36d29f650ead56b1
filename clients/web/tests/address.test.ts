import { beforeEach, expect, test } from "vitest";
import { go, path, query, withOnly, withQuery } from "../src/address";

beforeEach(() => go("/models/demo?tab=lens&photo=chelsea&ascent.steps=64", { replace: true }));

test("a query is changed name by name", () => {
  expect(withQuery({ tab: undefined, lens: "caricature" })).toBe(
    "/models/demo?photo=chelsea&ascent.steps=64&lens=caricature",
  );
  expect(withOnly(["photo"], { tab: "weights" })).toBe("/models/demo?tab=weights&photo=chelsea");
});

test("places stay readable in it", () => {
  expect(withOnly([], { left: "/models/a/layers/b:1", open: "x,y" })).toBe(
    "/models/demo?left=/models/a/layers/b:1&open=x,y",
  );
});

test("going there is seen by all who look", () => {
  go("/models/other?q=conv");
  expect(path.value).toBe("/models/other");
  expect(query.value.get("q")).toBe("conv");
  expect(location.pathname).toBe("/models/other");
});
