package hooke;

import hooke.v1.Location;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;

/** Resource names: plain ids here, escaped on the wire. */
public final class Names {

  private static final String LAYERS = "/layers/";

  private Names() {}

  /** The resource name of a model. */
  public static String model(String model) {
    return "models/" + model;
  }

  /** The resource name of a layer; characters that have a meaning there are escaped. */
  public static String layer(String model, String layer) {
    // Of a form, where a space is "+", to a path, where the contract leaves "~ : @" as they are.
    String form = URLEncoder.encode(layer, StandardCharsets.UTF_8);
    String escaped =
        form.replace("+", "%20")
            .replace("*", "%2A")
            .replace("%7E", "~")
            .replace("%3A", ":")
            .replace("%40", "@");
    return model(model) + LAYERS + escaped;
  }

  /** The model in a resource name. */
  public static String modelId(String name) {
    return name.split("/", 3)[1];
  }

  /** The id of the layer in a resource name; empty where it names none. */
  public static String layerId(String name) {
    int at = name.indexOf(LAYERS);
    if (at < 0) {
      return "";
    }
    // Names do not escape "+", which a form would read as a space.
    String escaped = name.substring(at + LAYERS.length()).replace("+", "%2B");
    return URLDecoder.decode(escaped, StandardCharsets.UTF_8);
  }

  /** The place of one unit of a layer. */
  public static Location unit(String model, String layer, int unit) {
    return Location.newBuilder().setLayer(layer(model, layer)).setUnit(unit).build();
  }
}
