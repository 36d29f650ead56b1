import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { query } from "../src/address";
import { PictureRole } from "../src/gen/hooke/v1/image_pb";
import { LensPanel } from "../src/lens/panel";
import { CompareView } from "../src/views/compare";
import { LayerView } from "../src/views/layer";
import { LayerTable } from "../src/views/layer_table";
import { ModelsView } from "../src/views/models";
import { UnitSheet } from "../src/views/unit_sheet";
import { bench, layer, picture } from "./microscope";
import { show } from "./page";

afterEach(cleanup);

const PLACE = { model: "small", layer: "one.a" };

test("models are cards that lead to them", async () => {
  show(<ModelsView />, bench());
  const link = await screen.findByRole("link", { name: /small/ });
  expect(link.getAttribute("href")).toBe("/models/small");
});

test("a server without models says how to start one with some", async () => {
  show(<ModelsView />, bench({ layers: [] }));
  await screen.findByText("No model yet");
  screen.getByText("hooke serve --demo");
});

test("a layer that is not there is an error with the nearest ones", async () => {
  show(<LayerView place={{ model: "small", layer: "one.c" }} />, bench());
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("layer not found");
  const near = within(alert).getByRole("link", { name: "one.a" });
  expect(near.getAttribute("href")).toBe("/models/small/layers/one.a");
});

test("a table of a thousand layers keeps few rows", () => {
  const layers = Array.from({ length: 1000 }, (_, index) => layer(`layer${index}`, "", ["x"]));
  show(<LayerTable model="small" layers={layers} />, bench());
  expect(screen.getAllByRole("row").length).toBeLessThan(100);
  expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("1001");
});

test("the table is searched and sorted in the address", async () => {
  const layers = [1, 3, 2].map((macs) => layer(`conv_${macs}`, "", ["x"], BigInt(macs)));
  show(<LayerTable model="small" layers={layers} />, bench());
  fireEvent.click(screen.getByRole("button", { name: "MACs" }));
  await waitFor(() => expect(rows()).toEqual(["conv_3", "conv_2", "conv_1"]));
  expect(query.value.get("sort")).toBe("-macs");
  fireEvent.input(screen.getByRole("searchbox"), { target: { value: "CONV_2 " } });
  await waitFor(() => expect(rows()).toEqual(["conv_2"]));
});

const rows = () =>
  screen
    .getAllByRole("row")
    .slice(1)
    .map((row) => within(row).getByRole("link").textContent);

test("units fill in while they are made, and end as one sheet", async () => {
  const gate = Promise.withResolvers<void>();
  const shown = bench({
    async *frames() {
      yield {
        case: "picture",
        value: picture({ role: PictureRole.PREVIEW, item: 1, width: 64, height: 64 }),
      };
      await gate.promise;
      const tile = { width: 4, height: 4, y: 0 };
      const tiles = [0, 1, 2, 3].map((item) => ({ ...tile, item, x: 5 * item }));
      const value = picture({ name: "sprite_sheet", width: 19, height: 4, tiles });
      yield { case: "picture", value };
    },
  });
  const { container } = show(<UnitSheet place={PLACE} unitCount={4} />, shown);
  await waitFor(() => expect(container.querySelectorAll("img")).toHaveLength(1));
  gate.resolve();
  await waitFor(() => expect(container.querySelectorAll(".sprite")).toHaveLength(4));
  expect(container.querySelectorAll("img")).toHaveLength(0);
  expect(shown.asked).toEqual(["visualize featureVisualization"]);
  const third = screen.getByRole("link", { name: "unit 2" });
  expect(third.getAttribute("href")).toBe("/models/small/layers/one.a/units/2");
});

test("work can be stopped, which stops the server, and begun again", async () => {
  const shown = bench({
    async *frames() {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield { case: "picture", value: picture({ role: PictureRole.PREVIEW }) };
      }
    },
  });
  show(<UnitSheet place={PLACE} unitCount={1} />, shown);
  fireEvent.click(await screen.findByRole("button", { name: "Stop" }));
  await screen.findByText("stopped");
  await waitFor(() => expect(shown.cut).toBe(1));
  fireEvent.click(screen.getByRole("button", { name: "Look again" }));
  await screen.findByRole("button", { name: "Stop" });
});

test("leaving stops the work", async () => {
  const shown = bench({
    async *frames() {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield { case: "picture", value: picture({ role: PictureRole.PREVIEW }) };
      }
    },
  });
  const { unmount } = show(<UnitSheet place={PLACE} unitCount={1} />, shown);
  await waitFor(() => expect(shown.asked).toHaveLength(1));
  unmount();
  await waitFor(() => expect(shown.cut).toBe(1));
});

test("a form shows what may be set, and puts what was set into the address", async () => {
  const shown = bench();
  show(<LensPanel place={PLACE} />, shown, "/?tab=lens&lens=feature_visualization");
  const steps = (await screen.findByLabelText("steps")) as HTMLInputElement;
  expect(steps.placeholder).toBe("512"); // the default of the whole
  expect(steps.max).toBe("8192");
  fireEvent.input(steps, { target: { value: "64" } });
  const sign = screen.getByLabelText("sign") as HTMLSelectElement;
  expect(sign.options[0]?.textContent).toBe("positive (default)");
  fireEvent.change(sign, { target: { value: "negative" } });
  fireEvent.click(screen.getByRole("button", { name: "Look" }));
  await waitFor(() => expect(query.value.get("ascent.steps")).toBe("64"));
  expect(query.value.get("sign")).toBe("negative");
  expect(query.value.has("ascent.image.storage")).toBe(false);
});

test("two models are compared by the server, whose table and findings are shown", async () => {
  const shown = bench();
  show(<CompareView />, shown, "/compare?left=/models/small&right=/models/small&ask=weights");
  await screen.findByText("one.a differs most");
  expect(shown.asked).toContain("compareWeights models/small models/small");
  const link = screen.getByRole("link", { name: "one.a" });
  expect(link.getAttribute("href")).toBe("/models/small/layers/one.a");
  expect(screen.getByRole("columnheader", { name: "largest change" }).title).toBe("How far.");
  screen.getByRole("cell", { name: "0.5" });
  screen.getByRole("button", { name: "Where do they part?" });
  expect(screen.queryByRole("button", { name: "Which units correspond?" })).toBeNull();
});
