//! Sends one message and returns the bytes of the answer.
//!
//! Answers are not decoded here: that would accept or reject each answer as a whole.

use std::error::Error as StdError;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use prost::Message;
use prost::bytes::{Buf as _, Bytes};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tower::Service;

use crate::teleport::client::LARGEST_MESSAGE;
use crate::visible;

/// Number of characters of a content type that an error shows.
const SHOWN: usize = 60;

/// Sends one message and receives one.
pub(super) async fn unary<Q>(channel: Channel, method: &'static str, query: Q) -> Result<Bytes, Status>
where
    Q: Message + 'static,
{
    let mut grpc = ready(channel).await?;
    let answer = grpc.unary(Request::new(query), PathAndQuery::from_static(method), Raw::new());
    answer.await.map(Response::into_inner)
}

/// Sends one message and receives a stream.
pub(super) async fn streaming<Q>(channel: Channel, method: &'static str, query: Q) -> Result<Streaming<Bytes>, Status>
where
    Q: Message + 'static,
{
    let mut grpc = ready(channel).await?;
    let answer = grpc.server_streaming(Request::new(query), PathAndQuery::from_static(method), Raw::new());
    answer.await.map(Response::into_inner)
}

async fn ready(channel: Channel) -> Result<Grpc<GrpcOnly>, Status> {
    let mut grpc = Grpc::new(GrpcOnly(channel)).max_decoding_message_size(LARGEST_MESSAGE);
    grpc.ready().await.map_err(Status::from_error)?;
    Ok(grpc)
}

/// An answer that does not come from a gRPC server.
#[derive(Debug, thiserror::Error)]
#[error("a gateway in front of Teleport answered instead: HTTP status {status}, content type {content_type:?}")]
pub(super) struct NotGrpc {
    status: u16,
    content_type: String,
}

/// Passes on answers of gRPC servers only. A gateway's 403 or 404 would otherwise look like a missing permission or an
/// old server.
#[derive(Clone, Debug)]
struct GrpcOnly(Channel);

type Sent = http::Request<tonic::body::Body>;
type Received = http::Response<tonic::body::Body>;
type BoxError = Box<dyn StdError + Send + Sync>;

impl Service<Sent> for GrpcOnly {
    type Response = Received;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Received, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Sent) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            match not_grpc(&answer) {
                Some(error) => Err(error.into()),
                None => Ok(answer),
            }
        })
    }
}

fn not_grpc<B>(answer: &http::Response<B>) -> Option<NotGrpc> {
    let headers = answer.headers();
    let content_type = headers
        .get(CONTENT_TYPE)
        .map(http::HeaderValue::as_bytes)
        .unwrap_or_default();
    if content_type.starts_with(b"application/grpc") || headers.contains_key("grpc-status") {
        return None;
    }
    let content_type = visible::line(&String::from_utf8_lossy(content_type)).into_owned();
    Some(NotGrpc {
        status: answer.status().as_u16(),
        content_type: content_type.chars().take(SHOWN).collect(),
    })
}

/// Encodes requests, and passes on answers undecoded.
struct Raw<Q>(PhantomData<fn(Q)>);

impl<Q> Raw<Q> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<Q: Message + 'static> Codec for Raw<Q> {
    type Encode = Q;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::new()
    }

    fn decoder(&mut self) -> Self {
        Self::new()
    }
}

impl<Q: Message> Encoder for Raw<Q> {
    type Item = Q;
    type Error = Status;

    fn encode(&mut self, item: Q, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<Q> Decoder for Raw<Q> {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
