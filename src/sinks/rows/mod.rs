//! Rows: events as the tables of the store have them, one flat record each.
//!
//! A row is written as one JSON object whose keys are the columns (ClickHouse `JSONEachRow`), and
//! can be read back from the store by its column types. The same structs feed the other encodings:
//! a column is the name of a fact, whatever a format calls it.

mod call;
mod encoder;
mod finding;
mod flow;
pub mod line;
mod message;
mod micros;
mod stats;
mod tool;

pub use call::CallRow;
pub use encoder::RowEncoder;
pub use finding::FindingRow;
pub use flow::FlowRow;
pub use message::MessageRow;
pub use micros::Micros;
pub use stats::StatsRow;
pub use tool::ToolRow;

use serde::Serialize;

/// Version of the tables that rows are written for: the number of the last migration that changed
/// a column.
pub const SCHEMA: u32 = 1;

/// A table that rows go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `findings`
    Findings,
    /// `mcp_messages`
    Messages,
    /// `flows`
    Flows,
    /// `tool_definitions`
    Tools,
    /// `sensor_stats`
    Stats,
    /// `portal_calls`
    Calls,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Findings, Self::Messages, Self::Flows, Self::Tools, Self::Stats, Self::Calls];

    /// Its name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Messages => "mcp_messages",
            Self::Flows => "flows",
            Self::Tools => "tool_definitions",
            Self::Stats => "sensor_stats",
            Self::Calls => "portal_calls",
        }
    }

    /// The table of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// A row of any table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Row {
    /// Of `findings`.
    Finding(Box<FindingRow>),
    /// Of `mcp_messages`.
    Message(Box<MessageRow>),
    /// Of `flows`.
    Flow(Box<FlowRow>),
    /// Of `tool_definitions`.
    Tool(Box<ToolRow>),
    /// Of `sensor_stats`.
    Stats(Box<StatsRow>),
    /// Of `portal_calls`.
    Call(Box<CallRow>),
}

impl Row {
    /// Where it goes.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::Finding(_) => Table::Findings,
            Self::Message(_) => Table::Messages,
            Self::Flow(_) => Table::Flows,
            Self::Tool(_) => Table::Tools,
            Self::Stats(_) => Table::Stats,
            Self::Call(_) => Table::Calls,
        }
    }
}
