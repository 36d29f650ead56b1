package hooke;

/** What a call that computes streams back, with the parts of a tensor joined to one. */
public sealed interface Frame {

  /** Says that the work can be continued if it is stopped. */
  record Checkpoint(hooke.v1.Checkpoint message) implements Frame {}

  /** How far the work is; also a sign of life. */
  record Progress(hooke.v1.Progress message) implements Frame {}

  /** A picture, preview or finished. */
  record Picture(hooke.v1.Picture message) implements Frame {}

  /** Numbers, whole and unchanged. */
  record Numbers(Tensor tensor) implements Frame {}

  /** Closes the work: what made it, or the estimate of a request that asked for one. */
  record Result(hooke.v1.Result message) implements Frame {}
}
