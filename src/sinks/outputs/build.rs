//! Configuration into encoders and deliverers.

use super::config::{ClickhouseTarget, Output, Target};
use super::{Files, Splunk, Syslog, Webhook};
use crate::sinks::connector::client_config;
use crate::sinks::encode::{Envelope, EventEncoder, SplunkEnvelope, SyslogHeader};
use crate::sinks::outbox::{Deliver, Segment, Trouble};
use crate::sinks::rows::line::Source;

/// An output, ready to begin.
#[derive(Debug)]
pub enum Built {
    /// Over a network, by way of an outbox.
    Network {
        /// Makes its records.
        encoder: EventEncoder,
        /// Delivers them.
        deliver: Box<Delivery>,
    },
    /// Into ClickHouse, by way of an outbox; the store's own client delivers.
    Store {
        /// Makes rows.
        encoder: EventEncoder,
        /// The server.
        target: ClickhouseTarget,
    },
    /// Into files.
    Files(Box<Files>),
}

/// Delivers over a network.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each output, boxed by its holder")]
pub enum Delivery {
    /// To a webhook.
    Webhook(Webhook),
    /// To Splunk.
    Splunk(Splunk),
    /// To a syslog receiver.
    Syslog(Syslog),
}

impl Deliver for Delivery {
    async fn deliver(&mut self, segment: &Segment) -> Result<(), Trouble> {
        match self {
            Self::Webhook(webhook) => webhook.deliver(segment).await,
            Self::Splunk(splunk) => splunk.deliver(segment).await,
            Self::Syslog(syslog) => syslog.deliver(segment).await,
        }
    }
}

/// Reads secrets and certificates, and opens files. `source` is what lines do not say themselves.
///
/// # Errors
/// What cannot be used, with the name of the output.
pub fn build(output: &Output, source: &Source<'_>) -> Result<Built, String> {
    let envelope = match &output.target {
        Target::Syslog(target) => Envelope::Syslog(SyslogHeader {
            facility: target.facility,
            hostname: source.sensor.to_owned(),
        }),
        Target::SplunkHec(target) => Envelope::Splunk(SplunkEnvelope {
            host: source.sensor.to_owned(),
            source: target.source.clone(),
            sourcetype: target.sourcetype.clone(),
            index: target.index.clone(),
        }),
        Target::Clickhouse(_) | Target::Webhook(_) | Target::File(_) => Envelope::None,
    };
    let encoder = EventEncoder::new(output.encoding, output.selection.clone(), envelope, source);
    if let Target::Clickhouse(target) = &output.target {
        return Ok(Built::Store { encoder, target: target.clone() });
    }
    if let Target::File(target) = &output.target {
        let files = Files::create(&output.name, target, encoder);
        return match files {
            Ok(files) => Ok(Built::Files(Box::new(files))),
            Err(error) => Err(format!("output {}: {error}", output.name)),
        };
    }
    match delivery(output)? {
        Some(deliver) => Ok(Built::Network { encoder, deliver: Box::new(deliver) }),
        None => Err(format!("output {}: it goes over no network", output.name)),
    }
}

/// Reads the secrets and certificates of an output and does nothing with them.
///
/// # Errors
/// What cannot be used, with the name of the output.
pub fn check_secrets(output: &Output) -> Result<(), String> {
    let named = |error: String| format!("output {}: {error}", output.name);
    if let Target::Clickhouse(target) = &output.target {
        if let Some(secret) = &target.password {
            secret.read().map_err(named)?;
        }
        return client_config(target.ca_file.as_deref()).map(drop).map_err(named);
    }
    delivery(output).map(drop)
}

fn delivery(output: &Output) -> Result<Option<Delivery>, String> {
    let deliver = match &output.target {
        Target::Clickhouse(_) | Target::File(_) => return Ok(None),
        Target::Webhook(target) => Webhook::new(target).map(Delivery::Webhook),
        Target::SplunkHec(target) => Splunk::new(target).map(Delivery::Splunk),
        Target::Syslog(target) => Syslog::new(target).map(Delivery::Syslog),
    };
    deliver.map(Some).map_err(|error| format!("output {}: {error}", output.name))
}
