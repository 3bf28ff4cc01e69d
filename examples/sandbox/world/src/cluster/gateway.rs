//! A gateway in front of the cluster that does not know gRPC.

use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tower::{Layer, Service};

use crate::cluster::Cluster;

/// Answers instead of the cluster while its fault is on.
#[derive(Clone)]
pub(super) struct Gateway(pub(super) Cluster);

#[derive(Clone)]
pub(super) struct Behind<S> {
    inner: S,
    cluster: Cluster,
}

impl<S> Layer<S> for Gateway {
    type Service = Behind<S>;

    fn layer(&self, inner: S) -> Behind<S> {
        Behind {
            inner,
            cluster: self.0.clone(),
        }
    }
}

impl<S, R> Service<R> for Behind<S>
where
    S: Service<R, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let answer = self.inner.call(request);
        let status = self.cluster.state().faults.gateway;
        let Some(status) = status else {
            return Box::pin(answer);
        };
        let mut page = http::Response::new(Body::empty());
        *page.status_mut() = http::StatusCode::from_u16(status).expect("tests use statuses that exist");
        let html = http::HeaderValue::from_static("text/html; charset=utf-8");
        page.headers_mut().insert(http::header::CONTENT_TYPE, html);
        Box::pin(std::future::ready(Ok(page)))
    }
}
