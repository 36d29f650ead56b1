/** The services of a Hooke server, and what the page asks them again and again. */

import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { ActivationService } from "../gen/hooke/v1/activation_service_pb";
import { AttributionService } from "../gen/hooke/v1/attribution_service_pb";
import { ComparisonService } from "../gen/hooke/v1/comparison_service_pb";
import { type Layer, type Model, ModelService } from "../gen/hooke/v1/model_service_pb";
import { type Technique, TechniqueService } from "../gen/hooke/v1/technique_service_pb";
import { VisualizationService } from "../gen/hooke/v1/visualization_service_pb";
import { type Place, resourceName } from "./names";

const PAGE_SIZE = 1000;

/** What the page knows of a server. Structure is asked for once and kept. */
export class Server {
  readonly models: Client<typeof ModelService>;
  readonly activations: Client<typeof ActivationService>;
  readonly attribution: Client<typeof AttributionService>;
  readonly comparison: Client<typeof ComparisonService>;
  readonly techniques: Client<typeof TechniqueService>;
  readonly visualization: Client<typeof VisualizationService>;
  private readonly known = new Map<string, Promise<unknown>>();

  constructor(transport: Transport) {
    this.models = createClient(ModelService, transport);
    this.activations = createClient(ActivationService, transport);
    this.attribution = createClient(AttributionService, transport);
    this.comparison = createClient(ComparisonService, transport);
    this.techniques = createClient(TechniqueService, transport);
    this.visualization = createClient(VisualizationService, transport);
  }

  /** All models, asked anew each time: they come and go. */
  async listModels(): Promise<Model[]> {
    const found: Model[] = [];
    let pageToken = "";
    do {
      const page = await this.models.listModels({ pageSize: PAGE_SIZE, pageToken });
      found.push(...page.models);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return found;
  }

  /** A model. */
  model(id: string): Promise<Model> {
    return this.once(`model ${id}`, () =>
      this.models.getModel({ name: resourceName({ model: id }) }),
    );
  }

  /** All layers of a model in the order in which they run; loads it if need be. */
  layers(id: string): Promise<Layer[]> {
    return this.once(`layers ${id}`, async () => {
      const layers: Layer[] = [];
      const parent = resourceName({ model: id });
      for await (const layer of this.models.streamLayers({ parent })) layers.push(layer);
      this.known.delete(`model ${id}`); // it may only now be loaded
      return layers;
    });
  }

  /** A layer. */
  layer(place: Place): Promise<Layer> {
    const name = resourceName(place);
    return this.once(name, () => this.models.getLayer({ name }));
  }

  /** All techniques, with whether each is valid at a place. */
  techniquesAt(place: Place): Promise<Technique[]> {
    const key = `techniques ${resourceName(place)} ${place.unit ?? ""}`;
    return this.once(key, async () => {
      const location = locationOf(place);
      const answer = await this.techniques.listTechniques({ location, pageSize: PAGE_SIZE });
      return answer.techniques;
    });
  }

  private once<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const before = this.known.get(key) as Promise<T> | undefined;
    const answer = before ?? ask();
    this.known.set(key, answer);
    answer.catch(() => this.known.delete(key));
    return answer;
  }
}

/** A place as the contract's `Location`. */
export function locationOf(place: Place) {
  const layer = resourceName(place);
  if (place.unit === undefined) return { layer };
  return { layer, unitChoice: { case: "unit" as const, value: place.unit } };
}

export const ServerContext = createContext<Server | undefined>(undefined);

/** The server that the page belongs to. */
export function useServer(): Server {
  const server = useContext(ServerContext);
  if (server === undefined) throw new Error("no server stands in the context");
  return server;
}
