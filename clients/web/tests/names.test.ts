import { expect, test } from "vitest";
import { routeOf } from "../src/app";
import { escapeId, pathOf, placeOf, resourceName } from "../src/server/names";

test("ids are escaped as the contract has it", () => {
  expect(resourceName({ model: "m", layer: "/conv1/Conv" })).toBe(
    "models/m/layers/%2Fconv1%2FConv",
  );
  expect(escapeId("AZaz09._-~:@")).toBe("AZaz09._-~:@");
  expect(escapeId("(*'!)")).toBe("%28%2A%27%21%29");
});

test.each([
  { model: "demo" },
  { model: "demo", layer: "blocks.4.2" },
  { model: "m", layer: "/a/b c%[0]:1" },
  { model: "m", layer: "ünïcode", unit: 0 },
])("a place survives its path: %o", (place) => {
  expect(placeOf(pathOf(place))).toEqual(place);
});

test("what is no place is none", () => {
  for (const path of [
    "/",
    "/models",
    "/models/a/b",
    "/models/a/layers/b/units/x",
    "/models/%",
    "/models/a/layers/b/units/2147483648",
  ])
    expect(placeOf(path)).toBeUndefined();
});

test("paths lead to views", () => {
  expect(routeOf("/")).toEqual({ view: "models" });
  expect(routeOf("/compare")).toEqual({ view: "compare" });
  expect(routeOf("/models/demo/photograph")).toEqual({
    view: "photograph",
    place: { model: "demo" },
  });
  expect(routeOf("/models/demo/layers/photograph")).toMatchObject({ view: "place" });
  expect(routeOf("/nowhere")).toEqual({ view: "unknown" });
});
