//! Plain HTTP for tests: one request at a time, from synchronous code, with a client that is not the one under test.

use bytes::Bytes;
use reqwest::{Client, Method, StatusCode, header::HeaderMap};

/// An answer, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header as text; empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Fails the test unless the status is a success.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert!(self.status.is_success(), "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        self
    }
}

/// Who asks: certificate authority and credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// PEM of an authority to trust.
    pub(crate) ca: Option<Vec<u8>>,
    /// PEM of a client certificate and its key.
    pub(crate) identity: Option<Vec<u8>>,
    /// User name and password.
    pub(crate) basic: Option<(String, String)>,
}

impl Caller {
    /// Sends one request and reads the answer. Runs on a thread of its own, so that it may be called from asynchronous tests.
    pub(crate) fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let body = body.into();
        let request = async {
            // To parse the authorities of the system at each request took half of the time of some tests.
            let authority = self.ca.iter().map(|pem| reqwest::Certificate::from_pem(pem).unwrap());
            let mut client = Client::builder().no_proxy().tls_certs_only(authority);
            if let Some(pem) = &self.identity {
                client = client.identity(reqwest::Identity::from_pem(pem).unwrap());
            }
            let mut request = client.build().unwrap().request(method, url).body(body);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some((user, password)) = &self.basic {
                request = request.basic_auth(user, Some(password));
            }
            let answer = request.send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
            let (status, headers) = (answer.status(), answer.headers().clone());
            Answer { status, headers, body: answer.bytes().await.unwrap() }
        };
        block_on(request)
    }
}

/// Runs a future to its end on a thread and runtime of its own.
pub(crate) fn block_on<F: Future<Output: Send> + Send>(future: F) -> F::Output {
    std::thread::scope(|scope| {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime().block_on(future)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// An anonymous `GET`.
pub(crate) fn get(url: &str) -> Answer {
    Caller::default().send(Method::GET, url, &[], Bytes::new())
}
