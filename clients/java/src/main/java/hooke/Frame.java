package hooke;

import java.util.Optional;

/**
 * What a call that computes streams back: progress, pictures, tensors, rows of tables, and last a
 * result.
 *
 * @param message the message, whose {@code getContentCase} says what it is; of a tensor the one
 *     that closed it
 * @param tensor the tensor, joined and checked; empty where it is something else
 */
public record Frame(hooke.v1.Frame message, Optional<Tensor> tensor) {}
