package hooke;

import hooke.v1.Readout;
import hooke.v1.Reduction;
import hooke.v1.Statistic;
import hooke.v1.TensorForm;
import java.util.List;

/** The usual answers to "what to read"; {@link Readout} has all of them. */
public final class Readouts {

  private Readouts() {}

  /** Every value of layers, named by ids or patterns. */
  public static Readout values(String... layers) {
    return Readout.newBuilder().addAllLayerGlobs(List.of(layers)).build();
  }

  /** One number for each sample and unit, over all positions. */
  public static Readout reduced(Statistic statistic, String... layers) {
    Reduction reduction = Reduction.newBuilder().setStatistic(statistic).build();
    return values(layers).toBuilder()
        .setTensor(TensorForm.newBuilder().setReduction(reduction))
        .build();
  }
}
