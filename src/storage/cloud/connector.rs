//! The HTTP client below `object_store`, with what its interface cannot say: that a multipart upload must create.

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// What becomes of an object that is there when an upload is completed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Connector {
    /// It is replaced.
    Replacing,
    /// It stays, and the completion fails.
    Creating,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(match self {
            Self::Replacing => inner,
            Self::Creating => HttpClient::new(Creating(inner)),
        })
    }
}

#[derive(Debug)]
struct Creating(HttpClient);

#[async_trait]
impl HttpService for Creating {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let completes = request.method() == Method::POST
            && request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("uploadId=")));
        if completes {
            // S3 reads the first, Google the second; neither is among the headers that a signature covers.
            for (name, value) in [("if-none-match", "*"), ("x-goog-if-generation-match", "0")] {
                request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
        }
        self.0.execute(request).await
    }
}
