/**
 * A client of Hooke, a microscope for neural networks.
 *
 * <p>{@link hooke.HookeClient} makes the calls; what they take and give are the messages of the
 * contract, {@code hooke.v1}, whose comments are the manual. This package adds what a generated
 * stub lacks: typed errors, tensors put together from their chunks and checked, deadlines and
 * cancellation.
 */
package hooke;
