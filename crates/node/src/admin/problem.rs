//! Failures as HTTP answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::model::ErrorView;
use crate::failure::Failure;

/// A failure with its status.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    failure: Failure,
}

impl Problem {
    pub(super) fn new(status: StatusCode, failure: Failure) -> Self {
        Self { status, failure }
    }

    /// The request is at fault.
    pub(super) fn bad_request(failure: Failure) -> Self {
        Self::new(StatusCode::BAD_REQUEST, failure)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = self.failure.what().to_owned();
        let hint = self.failure.advice().map(str::to_owned);
        (self.status, Json(ErrorView { error, hint })).into_response()
    }
}
