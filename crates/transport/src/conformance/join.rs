//! Waiting for several futures in one task, without a runtime.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::BoxFuture;

/// Waits for both.
pub(super) async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_done, mut b_done) = (None, None);
    poll_fn(|cx| {
        if a_done.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            a_done = Some(output);
        }
        if b_done.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            b_done = Some(output);
        }
        match (a_done.take(), b_done.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (a_done, b_done) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits for all, and returns the first error at once.
pub(super) async fn join_all<E>(mut futures: Vec<BoxFuture<'_, Result<(), E>>>) -> Result<(), E> {
    poll_fn(|cx| {
        let mut failed = None;
        futures.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => false,
            Poll::Ready(Err(error)) => {
                failed = Some(error);
                false
            }
            Poll::Pending => true,
        });
        match failed {
            Some(error) => Poll::Ready(Err(error)),
            None if futures.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}

/// Waits for `wanted` while `beside` runs, and drops `beside` then.
pub(super) async fn alongside<A: Future, B: Future>(wanted: A, beside: B) -> A::Output {
    let (mut wanted, mut beside) = (pin!(wanted), pin!(beside));
    let mut beside_runs = true;
    poll_fn(|cx| {
        if let Poll::Ready(output) = wanted.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if beside_runs && beside.as_mut().poll(cx).is_ready() {
            beside_runs = false;
        }
        Poll::Pending
    })
    .await
}

/// Polls once and gives the future up: what cancellation looks like. The output, if it was ready.
pub(super) async fn abandon<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
