//! The HTTP client below `object_store`, with what its interface cannot say: that a multipart upload must create.

use async_trait::async_trait;
use http::{HeaderValue, Method, header::IF_NONE_MATCH};
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
            // It is not among the headers that a signature covers.
            request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        self.0.execute(request).await
    }
}
