//! Configuration into encoders and deliverers.

use super::config::{ClickhouseTarget, Output, Secret, Target};
use super::{Files, Splunk, Syslog, Webhook};
use crate::sinks::encode::{Envelope, EventEncoder, SplunkEnvelope, SyslogHeader};
use crate::sinks::outbox::{Deliver, Segment, Trouble};
use crate::sinks::rows::line::Source;
use crate::sinks::store::client::Address;
use crate::sinks::store::deliver::Warehouse;

/// An output, ready to begin.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each output, while it begins")]
pub enum Built {
    /// Over a network, by way of an outbox.
    Network {
        /// Makes its records.
        encoder: EventEncoder,
        /// Delivers them.
        deliver: Box<Delivery>,
    },
    /// Into files.
    Files(Box<Files>),
}

/// Delivers over a network.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each output, boxed by its holder")]
pub enum Delivery {
    /// Into ClickHouse.
    Store(Warehouse),
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
            Self::Store(warehouse) => warehouse.deliver(segment).await,
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
    delivery(output).map(drop)
}

fn delivery(output: &Output) -> Result<Option<Delivery>, String> {
    let deliver = match &output.target {
        Target::File(_) => return Ok(None),
        Target::Clickhouse(target) => warehouse(target).map(Delivery::Store),
        Target::Webhook(target) => Webhook::new(target).map(Delivery::Webhook),
        Target::SplunkHec(target) => Splunk::new(target).map(Delivery::Splunk),
        Target::Syslog(target) => Syslog::new(target).map(Delivery::Syslog),
    };
    deliver.map(Some).map_err(|error| format!("output {}: {error}", output.name))
}

fn warehouse(target: &ClickhouseTarget) -> Result<Warehouse, String> {
    let address = Address {
        url: target.url.clone(),
        database: target.database.clone(),
        user: target.user.clone(),
        password: target.password.as_ref().map(Secret::read).transpose()?,
        ca_file: target.ca_file.clone(),
        compression: target.compression,
    };
    Warehouse::new(&address, &target.settings)
}
