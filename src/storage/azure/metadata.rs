//! The HTTP client below managed identities: what their endpoints do in other ways than the SDK expects.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    Bytes,
    error::{Error, ErrorKind},
    http::{AsyncRawResponse, HttpClient, Request},
};
use futures::StreamExt;
use serde_json::Value;

/// Bytes of an answer at most; a token has a few thousand.
const LIMIT: usize = 1 << 20;

/// A client of the endpoint that gives a machine its tokens. `inner` must not use proxies: the question has the machine's
/// secret in it and the answer the token, both in plain HTTP.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) inner: Arc<dyn HttpClient>,
    /// The resource id of a user-assigned identity, where the endpoint wants it as App Service does: the SDK can only say it
    /// in the way of virtual machines.
    pub(super) resource: Option<String>,
}

#[async_trait]
impl HttpClient for Metadata {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        if let Some(id) = &self.resource {
            request.url_mut().query_pairs_mut().append_pair("mi_res_id", id);
        }
        let (status, headers, mut body) = self.inner.execute_request(&request).await?.deconstruct();
        let mut answer = Vec::new();
        while let Some(chunk) = body.next().await {
            answer.extend_from_slice(&chunk?);
            if answer.len() > LIMIT {
                return Err(Error::with_message(ErrorKind::Other, "the answer is larger than any token"));
            }
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, dated(answer)))
    }
}

/// `answer` with the end of the token as a text, as App Service and virtual machines have it. Others have a number there,
/// which the SDK does not read.
fn dated(answer: Vec<u8>) -> Bytes {
    let Ok(Value::Object(mut document)) = serde_json::from_slice::<Value>(&answer) else { return answer.into() };
    match document.get_mut("expires_on") {
        Some(end) if end.is_number() => *end = Value::String(end.to_string()),
        _ => return answer.into(),
    }
    Value::Object(document).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_may_be_a_number() {
        for (given, read) in [
            (r#"{"expires_on":1795775913,"access_token":"t"}"#, r#"{"expires_on":"1795775913","access_token":"t"}"#),
            (r#"{"expires_on":"1795775913"}"#, r#"{"expires_on":"1795775913"}"#),
            (r#"{"error":"no such identity"}"#, r#"{"error":"no such identity"}"#),
            ("no JSON", "no JSON"),
        ] {
            assert_eq!(dated(given.as_bytes().to_vec()), read);
        }
    }
}
