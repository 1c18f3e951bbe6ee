//! Between clients and servers of any two revisions.
//!
//! | client | server | what is done |
//! |---|---|---|
//! | session | session | requests of the server go to the client that owns the call, under another id |
//! | session | stateless | `input_required` becomes requests to the client, and the call is made again |
//! | stateless | session | a request of the server becomes `input_required`; the call waits here |
//! | stateless | stateless | `requestState` is sealed, the rest passes |

mod lifecycle;
mod listen;
mod relay;
mod resolve;
mod turn;

use std::sync::Arc;

pub(in crate::portal) use lifecycle::client_side;
pub(super) use turn::Waiter;
pub(in crate::portal) use turn::declared;

use super::catalogue::{listed, mismatch};
use super::parts::{Kind, failed};
use super::{Context, Hub, Reply};
use crate::portal::upstream::{ClientSide, Conversation, Failure, Heard, Outgoing, Peer};
use crate::portal::wire::{Request, Response, RpcError, code, member, raw, text};

/// The response to a call, without anything that is heard before it. A server that asks something
/// meanwhile is told that there is nobody to answer.
pub(super) async fn whole_response(
    peer: &Arc<dyn Peer>,
    outgoing: Outgoing,
) -> Result<Response, Failure> {
    match peer.call(outgoing, true).await? {
        Conversation::Answer(response) => Ok(response),
        Conversation::Stream(mut heard) => {
            while let Some(next) = heard.recv().await {
                match next {
                    Heard::Response(response) => return Ok(response),
                    Heard::Failed(failure) => return Err(failure),
                    Heard::Notification(_) => {}
                    Heard::Request(request) => refuse(peer, request).await,
                }
            }
            Err(Failure::Broken("the stream ended".into()))
        }
    }
}

/// Answers a request of a server that nobody can answer: a ping always can be.
async fn refuse(peer: &Arc<dyn Peer>, request: Request) {
    let outcome = match &*request.method {
        "ping" => Ok(raw(&serde_json::Map::new())),
        _ => Err(RpcError::new(code::METHOD_NOT_FOUND, "Method not found")),
    };
    // A server that cannot be told will give up by itself.
    drop(peer.reply(Response { id: Some(request.id), outcome }).await);
}

impl Hub {
    /// Takes a request of a client.
    pub async fn request(self: &Arc<Self>, ctx: Arc<Context>, request: Request) -> Reply {
        let params = request.params.as_deref();
        let outcome = match &*request.method {
            "ping" if !ctx.is_modern() => Ok(raw(&serde_json::Map::new())),
            "server/discover" if ctx.is_modern() => Ok(self.discover(&ctx).await),
            "logging/setLevel" if !ctx.is_modern() => self.set_level(&ctx, params).await,
            "subscriptions/listen" if ctx.is_modern() => {
                return self.listen_for_client(ctx, request);
            }
            "resources/subscribe" | "resources/unsubscribe" if !ctx.is_modern() => {
                self.subscribe(&ctx, &request).await
            }
            // MCP 2026-07-28 has it no more, whatever the server knows.
            "resources/subscribe" | "resources/unsubscribe" => {
                Err(resolve::unknown(Kind::Method, &request.method))
            }
            method => match listed(method) {
                Some(kind) => self.list(&ctx, kind, params).await,
                None => return self.routed(ctx, request).await,
            },
        };
        Reply::Response(Response { id: Some(request.id), outcome })
    }

    /// A request that goes on to one server.
    async fn routed(self: &Arc<Self>, ctx: Arc<Context>, request: Request) -> Reply {
        let id = request.id.clone();
        match self.begin_turn(&ctx, request).await {
            Ok(turn) => turn.run().await,
            Err(error) => Reply::Response(failed(&id, error)),
        }
    }

    async fn begin_turn(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        mut request: Request,
    ) -> Result<turn::Turn, RpcError> {
        let bytes = request.params.as_ref().map_or(&b""[..], |params| params.get().as_bytes());
        if ctx.is_modern() && memchr::memmem::find(bytes, b"requestState").is_some() {
            let sealed = text(request.params.as_deref(), "requestState");
            if let Some(sealed) = sealed
                && let Some(turn) = self.go_on(ctx, &mut request, &sealed).await?
            {
                return Ok(turn);
            }
        }
        let target = match self.resolve(ctx, &request).await {
            Ok(target) => target,
            Err(error) => {
                turn::unresolved(ctx, request, &error);
                return Err(error);
            }
        };
        if ctx.is_modern() {
            let arguments =
                member::<Box<serde_json::value::RawValue>>(request.params.as_deref(), "arguments");
            let differs = mismatch(&target.mirrors, &ctx.param_headers, arguments.as_deref());
            if let Some(header) = differs {
                let what = format!("Mcp-Param-{header} does not say what the arguments say");
                return Err(RpcError::new(code::HEADER_MISMATCH, &what));
            }
        }
        turn::Turn::begin(self, ctx, request, target).await
    }
}

/// Whether a client says that it can do what a server asks.
fn can_ask(client: &ClientSide, method: &str) -> bool {
    let capability @ ("sampling" | "elicitation" | "roots" | "tasks") =
        method.split('/').next().unwrap_or_default()
    else {
        return false;
    };
    member::<serde::de::IgnoredAny>(Some(&client.capabilities), capability).is_some()
}

/// Whether a client says that it can be asked anything at all.
fn can_be_asked(client: &ClientSide) -> bool {
    let capabilities = client.capabilities.get();
    capabilities.len() > 2
        && ["sampling/", "elicitation/", "roots/"].iter().any(|method| can_ask(client, method))
}

/// The method's kind of thing, and the parameter that names it.
fn routing(method: &str) -> Option<(Kind, &'static str)> {
    Some(match method {
        "tools/call" => (Kind::Tool, "name"),
        "prompts/get" => (Kind::Prompt, "name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            (Kind::Resource, "uri")
        }
        _ => return None,
    })
}
