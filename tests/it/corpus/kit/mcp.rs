//! MCP clients and servers as the SDKs make them: revisions, orders of keys, answers whole or as
//! events.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Connection, Random, http, tls};

/// Revisions of Streamable HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    March2025,
    June2025,
    November2025,
    /// Without handshake and session.
    July2026,
}

impl Era {
    pub const ALL: [Self; 4] =
        [Self::March2025, Self::June2025, Self::November2025, Self::July2026];

    pub const fn revision(self) -> &'static str {
        match self {
            Self::March2025 => "2025-03-26",
            Self::June2025 => "2025-06-18",
            Self::November2025 => "2025-11-25",
            Self::July2026 => "2026-07-28",
        }
    }
}

/// In which order a client writes the keys of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// TypeScript SDK and Python SDK 1: `method`, `params`, `jsonrpc`, `id`.
    MethodFirst,
    /// Python SDK 2: `jsonrpc`, `id`, `method`, `params`.
    JsonrpcFirst,
    /// Encoders that sort: `id`, `jsonrpc`, `method`, `params`.
    Sorted,
}

impl Keys {
    pub const ALL: [Self; 3] = [Self::MethodFirst, Self::JsonrpcFirst, Self::Sorted];

    /// A request, or a notification when there is no id; `params` are the members of an object.
    pub fn request(self, id: Option<usize>, method: &str, params: &str) -> String {
        let version = r#""jsonrpc":"2.0""#.to_owned();
        let id = id.map(|id| format!(r#""id":{id}"#));
        let method = Some(format!(r#""method":"{method}""#));
        let params = (!params.is_empty()).then(|| format!(r#""params":{{{params}}}"#));
        let version = Some(version);
        let order = match self {
            Self::MethodFirst => [method, params, version, id],
            Self::JsonrpcFirst => [version, id, method, params],
            Self::Sorted => [id, version, method, params],
        };
        format!("{{{}}}", order.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

/// A client program on a host.
#[derive(Clone, Debug)]
pub struct Agent {
    pub address: Ipv4Addr,
    pub name: String,
    pub user_agent: &'static str,
    pub era: Era,
    pub keys: Keys,
    /// Its bearer token, if it has one.
    pub token: Option<String>,
}

impl Agent {
    pub fn new(address: [u8; 4], era: Era, keys: Keys) -> Self {
        let user_agent = match keys {
            Keys::MethodFirst => "node",
            Keys::JsonrpcFirst => "python-httpx2/2.16.2",
            Keys::Sorted => "Go-http-client/1.1",
        };
        let name = "corpus-agent".to_owned();
        Self { address: address.into(), name, user_agent, era, keys, token: None }
    }
}

/// A server.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it calls itself.
    pub name: String,
    /// Host, with port where it is not that of the scheme.
    pub host: String,
    pub address: SocketAddrV4,
    pub path: String,
    /// The tools that it lists: JSON objects.
    pub tools: Vec<String>,
    pub instructions: Option<String>,
    /// It answers with event streams.
    pub events: bool,
    pub tls: bool,
}

impl Service {
    pub fn new(name: &str, host: &str, address: ([u8; 4], u16)) -> Self {
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            address: SocketAddrV4::new(address.0.into(), address.1),
            path: "/mcp".to_owned(),
            tools: Vec::new(),
            instructions: None,
            events: false,
            tls: false,
        }
    }

    /// Inside TLS, on port 443.
    pub fn secure(name: &str, host: &str, address: [u8; 4]) -> Self {
        Self { tls: true, ..Self::new(name, host, (address, 443)) }
    }

    pub fn with_tools(mut self, tools: &[String]) -> Self {
        self.tools = tools.to_vec();
        self
    }

    /// Its URL, as clients and tokens name it.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.host, self.path)
    }

    /// What the program knows it by: the URL with its port.
    pub fn key(&self) -> String {
        let (url, has_port) = (self.url(), self.host.contains(':'));
        let port = format!("{}:{}", self.host, self.address.port());
        if has_port { url } else { url.replacen(&self.host, &port, 1) }
    }
}

/// A tool as servers define it; `properties` are the members of an object.
pub fn tool(name: &str, description: &str, properties: &str) -> String {
    format!(
        r#"{{"name":{},"description":{},"inputSchema":{{"type":"object","properties":{{{properties}}}}}}}"#,
        super::quoted(name),
        super::quoted(description)
    )
}

/// One client's use of one server on one connection.
#[derive(Debug)]
pub struct Session<'a> {
    agent: &'a Agent,
    service: &'a Service,
    pub talk: Connection,
    id: usize,
    session: String,
    /// Further header fields of each request; they end their lines.
    pub fields: String,
}

impl<'a> Session<'a> {
    /// Opens a connection from this port, and MCP on it.
    pub fn open(agent: &'a Agent, service: &'a Service, port: u16, start: i64) -> Self {
        let client = SocketAddrV4::new(agent.address, port);
        let seed = u64::from(u32::from(agent.address)) ^ u64::from(port) << 32;
        let session = Random::new(seed ^ start.unsigned_abs()).uuid();
        let talk = Connection::new(client, service.address, start);
        let fields = String::new();
        let mut own = Self { agent, service, talk, id: 0, session, fields };
        own.handshake();
        own
    }

    fn handshake(&mut self) {
        let (era, name) = (self.agent.era, super::quoted(&self.service.name));
        let info = format!(r#""serverInfo":{{"name":{name},"version":"1.4.0"}}"#);
        let instructions =
            self.service.instructions.as_deref().map_or(String::new(), |text| {
                format!(r#","instructions":{}"#, super::quoted(text))
            });
        let capabilities = r#""capabilities":{"tools":{"listChanged":true}}"#;
        if era == Era::July2026 {
            let result = format!(
                r#""supportedVersions":["2026-07-28"],{capabilities},{info}{instructions},"ttlMs":60000,"cacheScope":"private""#
            );
            self.ask("server/discover", None, "", &result);
            return;
        }
        let version = format!(r#""protocolVersion":"{}""#, era.revision());
        let client = super::quoted(&self.agent.name);
        let params = format!(
            r#"{version},"capabilities":{{}},"clientInfo":{{"name":{client},"version":"1.0.0"}}"#
        );
        self.ask(
            "initialize",
            None,
            &params,
            &format!("{version},{capabilities},{info}{instructions}"),
        );
        let ready = self.request(None, "notifications/initialized", None, "");
        self.talk.exchange(ready, http::response("202 Accepted", "Content-Length: 0\r\n", ""));
    }

    /// Reads the list of tools.
    pub fn list(&mut self) -> &mut Self {
        let tools = format!(r#""tools":[{}]"#, self.service.tools.join(","));
        let tools = if self.agent.era == Era::July2026 {
            format!(r#"{tools},"ttlMs":60000,"cacheScope":"private""#)
        } else {
            tools
        };
        self.ask("tools/list", None, "", &tools)
    }

    /// Calls a tool with the members of an object, and is answered with a text.
    pub fn call(&mut self, tool: &str, arguments: &str, answer: &str) -> &mut Self {
        let params = format!(r#""name":{},"arguments":{{{arguments}}}"#, super::quoted(tool));
        let text = super::quoted(answer);
        let result = format!(r#""content":[{{"type":"text","text":{text}}}],"isError":false"#);
        self.ask("tools/call", Some(tool), &params, &result)
    }

    /// A request and its result: members of objects. `name` goes into the routing header.
    pub fn ask(
        &mut self,
        method: &str,
        name: Option<&str>,
        params: &str,
        result: &str,
    ) -> &mut Self {
        let id = self.id;
        self.id += 1;
        let request = self.request(Some(id), method, name, params);
        let kind = if self.agent.era == Era::July2026 { r#""resultType":"complete","# } else { "" };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{kind}{result}}}}}"#);
        let session = if self.agent.era == Era::July2026 || method != "initialize" {
            String::new()
        } else {
            format!("Mcp-Session-Id: {}\r\n", self.session)
        };
        let response = if self.service.events {
            http::stream(&session, &http::event("message", &body))
        } else {
            http::response("200 OK", &format!("Content-Type: application/json\r\n{session}"), body)
        };
        self.talk.exchange(request, response);
        self
    }

    fn request(
        &self,
        id: Option<usize>,
        method: &str,
        name: Option<&str>,
        params: &str,
    ) -> Vec<u8> {
        let era = self.agent.era;
        let mut fields = format!(
            "User-Agent: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{}",
            self.agent.user_agent, self.fields
        );
        if let Some(token) = &self.agent.token {
            fields += &format!("Authorization: Bearer {token}\r\n");
        }
        let is_first = method == "initialize";
        if matches!(era, Era::June2025 | Era::November2025 | Era::July2026) && !is_first {
            fields += &format!("MCP-Protocol-Version: {}\r\n", era.revision());
        }
        let mut params = params.to_owned();
        if era == Era::July2026 {
            fields += &format!("Mcp-Method: {method}\r\n");
            if let Some(name) = name {
                fields += &format!("Mcp-Name: {name}\r\n");
            }
            let client = super::quoted(&self.agent.name);
            let comma = if params.is_empty() { "" } else { "," };
            params += &format!(
                r#"{comma}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":{client},"version":"1.0.0"}}}}"#
            );
        } else if !is_first {
            fields += &format!("Mcp-Session-Id: {}\r\n", self.session);
        }
        let body = self.agent.keys.request(id, method, &params);
        http::request(&format!("POST {}", self.service.path), &self.service.host, &fields, body)
    }

    /// Time passes, in microseconds.
    pub fn wait(&mut self, micros: i64) -> &mut Self {
        self.talk.wait(micros);
        self
    }

    /// The connection as it goes over the wire, and its key log.
    pub fn finish(self) -> (Connection, String) {
        if !self.service.tls {
            return (self.talk, String::new());
        }
        let host = self.service.host.split(':').next().unwrap();
        tls::wrapped(&self.talk, host)
    }
}
