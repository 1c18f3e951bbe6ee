//! The event of a call through the portal.

use serde::Serialize;

use super::Address;
use crate::time::Timestamp;

/// One call through the portal: who, what, where to, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallEvent {
    /// When the request was read.
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    /// The call itself.
    pub event: CallOutcome,
    /// The portal.
    pub portal: PortalInfo,
    /// Address of the client, as the front sees it.
    pub source: Address,
    /// Who calls, as proved.
    pub user: CallUser,
    /// What the client says of itself; not verified.
    pub client: CallClient,
    /// The server behind the portal.
    pub server: CallServer,
    /// What was asked for.
    pub mcp: CallMcp,
    /// Arguments of a tool or prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<CallArguments>,
    /// What was decided.
    pub decision: CallDecision,
    /// What inspection found, by kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<CallFinding>,
    /// Rules that refused it, or took something out of its answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// How the tool stands to what was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<CallPin>,
    /// The request.
    pub request: CallRequest,
    /// The answer.
    pub response: CallResponse,
    /// The error that the client got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<CallError>,
    /// Trace that the call belongs to (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<CallTrace>,
}

/// How a call ended, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallOutcome {
    /// Id of the record: 32 hexadecimal digits.
    pub id: String,
    /// `success`, `failure` (an error, or a result with `isError`) or `refused` (by the portal).
    pub outcome: &'static str,
    /// From the request's last byte to the answer's last byte, in microseconds.
    pub duration_us: u64,
    /// Of that, from the request sent to the server to its last byte, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_us: Option<u64>,
    /// Of that, to the first byte of the server, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
}

/// The portal that a call went through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PortalInfo {
    /// Its name.
    pub name: String,
    /// Its own URI (RFC 8707), which tokens are for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub audience: String,
    /// Which of its replicas.
    pub replica: String,
    /// Version of the configuration: the beginning of its digest.
    pub config: String,
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallUser {
    /// Who says so: the issuer of a token, or the portal's own list.
    pub issuer: String,
    /// `sub` of a token, name of a service token, or subject of a certificate.
    pub id: String,
    /// A name or address that the issuer vouches for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// How it was proved: `token`, `service`, `certificate`, `assertion`, `nobody`.
    pub proof: String,
}

/// What the client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallClient {
    /// OAuth client id; of this the issuer is sure.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// `clientInfo`: name and version. Not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified_name: Option<String>,
    /// `User-Agent`. Not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// A server behind the portal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallServer {
    /// Id in the configuration; empty where no server was found for the request.
    pub id: String,
    /// `scheme://host:port/path`, or `stdio:ID`.
    pub key: String,
    /// Host of the key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallMcp {
    /// Method.
    pub method: String,
    /// `tool`, `prompt`, `resource`, or nothing of them.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub kind: &'static str,
    /// Tool or prompt, by the server's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Resource, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Id of the request, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Keyed hash of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Revision that the client speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// Revision that the server speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_protocol_version: Option<String>,
}

/// Arguments, without their values unless the configuration asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallArguments {
    /// Names and types: `{path:string,options:{deep:boolean}}`.
    pub shape: String,
    /// SHA-256 of the canonical JSON (RFC 8785), in hexadecimal.
    pub digest: String,
    /// The JSON text with secrets masked, cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallDecision {
    /// `allow`, `deny`, `hold`, or `none` where the call did not come so far.
    pub ruling: String,
    /// Id of the policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Why it was refused, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Risk tier of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// How a held call was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<CallHold>,
}

/// A call that waited for approval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallHold {
    /// Id of the hold.
    pub id: String,
    /// `released`, `denied` or `expired`.
    pub outcome: String,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
}

/// What inspection found of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallFinding {
    /// Its name.
    pub kind: String,
    /// `request` or `response`.
    pub direction: String,
    /// How often.
    pub count: u32,
    /// What was done: `allow`, `redact` or `block`.
    pub action: String,
    /// Where the first stands: a JSON pointer, masked.
    pub pointer: String,
}

/// How a tool stands to what was approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallPin {
    /// `new`, `approved`, `changed`, `quarantined`.
    pub state: String,
    /// Canonical digest of its definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallRequest {
    /// Length of its body.
    pub bytes: u64,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallResponse {
    /// Length of all that was sent to the client for the request.
    pub bytes: u64,
    /// HTTP status of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
}

/// The error that the client got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallError {
    /// JSON-RPC code; none of a result with `isError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// What it says, masked.
    pub message: String,
}

/// Trace that a call belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallTrace {
    /// Id of the trace: 32 hexadecimal digits.
    pub id: String,
    /// Id of the portal's span: 16 hexadecimal digits.
    pub span: String,
    /// Id of the span that it is in, if there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent: String,
    /// Whether whoever began the trace keeps it.
    #[serde(rename = "sampled")]
    pub is_sampled: bool,
}
