//! The two halves of a stream, as their holders see them.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::connection::End;
use super::link::StreamId;
use super::pipe::Pipe;
use super::waiters::Wakes;
use crate::{ConnectionError, RecvStream, SendStream, StreamError};

/// The sending half.
pub(super) struct MemorySend {
    pub(super) end: Arc<End>,
    pub(super) stream: StreamId,
}

impl MemorySend {
    /// Acts on the pipe; `announce` says from the result whether the peer now learns of the stream.
    fn act<R>(
        &self,
        announce: impl FnOnce(&R) -> bool,
        act: impl FnOnce(&mut Pipe, Option<&ConnectionError>, &mut Wakes) -> R,
    ) -> R {
        let End { link, side, .. } = &*self.end;
        link.state.with(|state, wakes| {
            let result = state.act(self.stream, *side, *side, wakes, act);
            if announce(&result) {
                state.announce(self.stream, *side, wakes);
            }
            result
        })
    }
}

impl SendStream for MemorySend {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>> {
        let wrote = !chunk.is_empty();
        self.act(
            |result| wrote && matches!(result, Poll::Ready(Ok(()))),
            |pipe, closed, wakes| pipe.poll_write(cx, closed, chunk, wakes),
        )
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        self.act(Result::is_ok, |pipe, closed, wakes| pipe.finish(closed, wakes))
    }

    fn reset(&mut self, code: u32) {
        self.act(|()| true, |pipe, _, wakes| pipe.reset(code, wakes));
    }

    /// Changes nothing: streams of this transport do not share a path that could be full.
    fn set_priority(&mut self, _priority: i32) {}

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u32>, StreamError>> {
        self.act(|_| false, |pipe, closed, _| pipe.poll_stopped(cx, closed))
    }
}

impl Drop for MemorySend {
    fn drop(&mut self) {
        self.act(|()| true, |pipe, _, wakes| pipe.sender_dropped(wakes));
        self.end.link.state.with(|state, wakes| state.release(self.stream, wakes));
    }
}

/// The receiving half.
pub(super) struct MemoryRecv {
    pub(super) end: Arc<End>,
    pub(super) stream: StreamId,
}

impl RecvStream for MemoryRecv {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        let End { link, side, .. } = &*self.end;
        link.state.with(|state, wakes| {
            state.act(self.stream, *side, side.other(), wakes, |pipe, closed, wakes| {
                pipe.poll_read(cx, closed, max, wakes)
            })
        })
    }

    fn stop(&mut self, code: u32) {
        let End { link, side, .. } = &*self.end;
        link.state.with(|state, wakes| {
            state.act(self.stream, *side, side.other(), wakes, |pipe, _, wakes| pipe.stop(code, wakes));
            state.announce(self.stream, *side, wakes);
        });
    }
}

impl Drop for MemoryRecv {
    fn drop(&mut self) {
        self.stop(0);
        self.end.link.state.with(|state, wakes| state.release(self.stream, wakes));
    }
}
