use std::collections::BTreeMap;

use tonic::{Code, Status};
use tonic_types::StatusExt;

const DOMAIN: &str = "hooke";

/// What a call failed with.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {message}", self.code_name())]
pub struct Error {
    /// The kind of the failure.
    pub code: Code,
    /// One sentence for people.
    pub message: String,
    /// A name of [`ErrorReason`](crate::v1::ErrorReason) without its prefix; empty where the
    /// answer is not Hooke's.
    pub reason: String,
    /// The changing parts of the message (`nearest`: ids like the one asked for).
    pub metadata: BTreeMap<String, String>,
    /// What is wrong with which field of the request.
    pub field_violations: BTreeMap<String, String>,
    /// gRPC's own error; `None` where this client found the failure.
    #[source]
    pub status: Option<Box<Status>>,
}

impl Error {
    /// The code as gRPC's specification writes it: `NOT_FOUND`.
    pub fn code_name(&self) -> String {
        let mut name = String::new();
        for letter in format!("{:?}", self.code).chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name.replace("O_K", "OK")
    }

    /// A stream was cut off, or its bytes are not those that were sent.
    pub(crate) fn lost(message: String) -> Self {
        Self {
            code: Code::DataLoss,
            message,
            reason: String::new(),
            metadata: BTreeMap::new(),
            field_violations: BTreeMap::new(),
            status: None,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let (reason, metadata) = details
            .error_info()
            .filter(|info| info.domain == DOMAIN)
            .map(|info| (info.reason.clone(), info.metadata.clone().into_iter().collect()))
            .unwrap_or_default();
        let field_violations = details
            .bad_request()
            .into_iter()
            .flat_map(|request| &request.field_violations)
            .map(|each| (each.field.clone(), each.description.clone()))
            .collect();
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason,
            metadata,
            field_violations,
            status: Some(Box::new(status)),
        }
    }
}
