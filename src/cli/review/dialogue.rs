//! The questions of a review: lines out, lines in, so that it works over a bare connection and in
//! a pipe. The end of the input is an answer too: what was decided until then counts.

use std::io::{self, BufRead, Write};

use jiff::civil::Date;

use crate::finding::learn::{Candidate, Decision};
use crate::mcp::Evidence;
use crate::sinks::printable;
use crate::verdict::{NO_OWNER, Terms};

/// So many values of one kind are shown.
const MAX_SHOWN: usize = 8;
/// Longer answers are cut (in bytes).
const MAX_ANSWER_BYTES: u64 = 4096;

const HELP: &str = "\
  a  approve it: an entry in the approvals, for every client and tool until you narrow it there
  h  approve all servers of this host that are still to come, this one included
  s  skip it: it is asked again the next time (also: an empty line)
  r  reject it: never asked again, and its findings are told
  q  stop here; what was answered so far is written
";

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    /// For each candidate asked about; `None` when it was skipped.
    pub(super) decisions: Vec<Option<Decision>>,
    /// Owner, last day and approver of what was approved.
    pub(super) terms: Terms,
}

/// A review under way.
pub(super) struct Dialogue<R, W> {
    pub(super) input: R,
    pub(super) output: W,
    /// What an empty line means for owner and last day.
    pub(super) defaults: Terms,
    /// Name of the approvals file.
    pub(super) file: String,
}

/// One answer to one candidate.
enum Answer {
    Decided(Decision),
    Host,
    Skip,
    Quit,
}

impl<R: BufRead, W: Write> Dialogue<R, W> {
    /// Asks about every candidate.
    ///
    /// # Errors
    /// Those of input and output.
    pub(super) fn run(mut self, candidates: &[&Candidate], hints: &[&str]) -> io::Result<Answers> {
        let mut decisions = vec![None; candidates.len()];
        let count = candidates.len();
        let servers = if count == 1 { "1 server waits" } else { &format!("{count} servers wait") };
        let file = printable(&self.file).into_owned();
        writeln!(self.output, "{servers} for a decision; approvals go to {file}.")?;
        if !hints.is_empty() {
            let shown = listed(hints.iter().map(|key| printable(key).into_owned()));
            writeln!(self.output, "Only names were seen of {}: {shown}.", hints.len())?;
        }
        let mut terms = None;
        let mut index = 0;
        while let Some(candidate) = candidates.get(index) {
            if decisions.get(index).is_some_and(Option::is_some) {
                index += 1; // All of its host were approved.
                continue;
            }
            writeln!(self.output, "\n[{}/{count}] {}", index + 1, block(candidate))?;
            let answer = self.answer()?;
            match answer {
                Answer::Quit => break,
                Answer::Skip => {}
                Answer::Decided(decision) => set(&mut decisions, index, decision),
                Answer::Host => {
                    for (other, of) in candidates.iter().enumerate().skip(index) {
                        if of.host() == candidate.host() {
                            set(&mut decisions, other, Decision::Approved);
                        }
                    }
                }
            }
            let approves = matches!(answer, Answer::Host | Answer::Decided(Decision::Approved));
            if approves && terms.is_none() {
                terms = self.terms()?;
                if terms.is_none() {
                    // The input ended: nobody answers for it.
                    decisions.iter_mut().skip(index).for_each(|decision| *decision = None);
                    break;
                }
            }
            index += 1;
        }
        writeln!(self.output)?;
        self.output.flush()?;
        Ok(Answers { decisions, terms: terms.unwrap_or(self.defaults) })
    }

    fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let Some(line) = self.ask("approve? [a/h/s/r/q/?] ")? else { return Ok(Answer::Quit) };
            return Ok(match line.to_ascii_lowercase().as_str() {
                "a" | "approve" | "y" | "yes" => Answer::Decided(Decision::Approved),
                "r" | "reject" | "n" | "no" => Answer::Decided(Decision::Rejected),
                "h" | "host" => Answer::Host,
                "s" | "skip" | "" => Answer::Skip,
                "q" | "quit" => Answer::Quit,
                _ => {
                    write!(self.output, "{HELP}")?;
                    continue;
                }
            });
        }
    }

    /// Owner and last day, asked once, at the first approval. `None` at the end of the input.
    fn terms(&mut self) -> io::Result<Option<Terms>> {
        let mut terms = self.defaults.clone();
        loop {
            let default = &self.defaults.owner;
            let question = format!("owner of what you approve [{}]: ", printable(default));
            let Some(line) = self.ask(&question)? else { return Ok(None) };
            if !line.is_empty() {
                terms.owner = line;
            }
            let owner = terms.owner.trim();
            if owner.is_empty() || owner.eq_ignore_ascii_case(NO_OWNER) {
                writeln!(self.output, "  somebody has to answer for it: a person or a team")?;
            } else if owner.chars().any(char::is_control) {
                writeln!(self.output, "  control characters cannot be part of it")?;
            } else {
                break;
            }
        }
        loop {
            let question = format!("last day [{}]: ", self.defaults.expires);
            let Some(line) = self.ask(&question)? else { return Ok(None) };
            if line.is_empty() {
                return Ok(Some(terms));
            }
            match day(&line) {
                Ok(date) => {
                    terms.expires = date;
                    return Ok(Some(terms));
                }
                Err(hint) => writeln!(self.output, "  {hint}")?,
            }
        }
    }

    /// A line of the input without blanks around it; `None` at its end.
    fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        write!(self.output, "{question}")?;
        self.output.flush()?;
        let mut line = Vec::new();
        let read =
            io::Read::take(&mut self.input, MAX_ANSWER_BYTES).read_until(b'\n', &mut line)?;
        if read == 0 {
            writeln!(self.output)?;
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()))
    }
}

fn set(decisions: &mut [Option<Decision>], index: usize, decision: Decision) {
    if let Some(slot) = decisions.get_mut(index) {
        *slot = Some(decision);
    }
}

/// A day as approvals spell it.
pub(super) fn day(text: &str) -> Result<Date, String> {
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = text.parse::<Date>().ok().filter(|_| plain);
    date.ok_or_else(|| format!("`{}` is no day: write YYYY-MM-DD, as 2027-03-31", printable(text)))
}

/// All there is to know of a candidate on one screen.
fn block(candidate: &Candidate) -> String {
    let mut text = printable(&candidate.key).into_owned();
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("\n    {name:<10}{value}"));
        }
    };
    let safe = |text: &String| printable(text).into_owned();
    let proxy = if candidate.via_proxy { ", through a proxy" } else { "" };
    let addresses = listed(candidate.addresses.iter().map(ToString::to_string));
    field("where", format!("{addresses}{proxy}"));
    field("what", listed(candidate.software.iter().map(safe)));
    field(
        "who",
        listed(candidate.clients.iter().map(|(ip, software)| {
            let software = listed(software.iter().map(safe));
            if software.is_empty() { ip.to_string() } else { format!("{ip} ({software})") }
        })),
    );
    field("called", listed(candidate.tools.iter().map(safe)));
    field("auth", listed(candidate.auth.iter().map(safe)));
    let evidence = match candidate.evidence {
        Evidence::Confirmed => "MCP requests and their answers were read",
        Evidence::Parsed => "MCP requests were read, no answers",
        Evidence::Header | Evidence::Hint => "only names, header fields or attempts",
    };
    field("evidence", evidence.to_owned());
    field("seen", format!("{} to {}", candidate.first_seen, candidate.last_seen));
    let risks = candidate.risks();
    let risks: Vec<String> = risks.iter().map(safe).collect();
    field("mind", risks.join("; "));
    if candidate.dropped > 0 {
        field("beside", format!("{} values found no room", candidate.dropped));
    }
    text
}

/// The first few, and how many more there are.
fn listed(items: impl Iterator<Item = String>) -> String {
    let mut items = items.filter(|item| !item.is_empty());
    let mut text = items.by_ref().take(MAX_SHOWN).collect::<Vec<_>>().join(", ");
    let more = items.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use Decision::{Approved, Rejected};

    fn candidate(key: &str) -> Candidate {
        let at = Timestamp::from_parts(1_795_334_400, 0);
        let mut candidate = Candidate::new(key.to_owned(), Evidence::Confirmed, at);
        candidate.addresses.insert("203.0.113.7".parse().unwrap());
        candidate.clients.insert("10.0.0.1".parse().unwrap(), ["agent 0.9".to_owned()].into());
        candidate.software.insert("tracker\x1b[2J 1.2".to_owned());
        candidate.tools.extend((0..10).map(|n| format!("tool_{n}")));
        candidate.auth.insert("none".to_owned());
        candidate
    }

    fn review(keys: &[&str], answers: &str) -> (Answers, String) {
        let candidates: Vec<Candidate> = keys.iter().map(|key| candidate(key)).collect();
        let candidates: Vec<&Candidate> = candidates.iter().collect();
        let mut output = Vec::new();
        let defaults =
            Terms { owner: String::new(), expires: "2027-02-20".parse().unwrap(), approved: None };
        let file = "approvals.yaml".to_owned();
        let dialogue = Dialogue { input: answers.as_bytes(), output: &mut output, defaults, file };
        let answers = dialogue.run(&candidates, &["dns:mcp.example"]).unwrap();
        (answers, String::from_utf8(output).unwrap())
    }

    const KEYS: [&str; 4] =
        ["http://a.test:80/1", "http://b.test:80/1", "http://a.test:80/2", "http://c.test:80/1"];

    #[test]
    fn each_answer_does_what_it_says() {
        for (answers, want) in [
            ("a\nops\n\nr\ns\na\n", [Some(Approved), Some(Rejected), None, Some(Approved)]),
            ("h\nops\n\n\n\n", [Some(Approved), None, Some(Approved), None]),
            ("r\nq\n", [Some(Rejected), None, None, None]),
            ("what\n?\nr\n", [Some(Rejected), None, None, None]),
            ("", [None; 4]),
            ("a\n", [None; 4]),
            ("r\na\nops\n", [Some(Rejected), None, None, None]),
            ("s\r\n  R  \r\ns\nA\nops\n\n", [None, Some(Rejected), None, Some(Approved)]),
        ] {
            let (got, text) = review(&KEYS, answers);
            assert_eq!(got.decisions, want, "{answers:?}\n{text}");
        }
    }

    #[test]
    fn owner_and_day_are_asked_once_and_until_they_are_right() {
        let (answers, text) =
            review(&KEYS, "a\n\nCHANGE-ME\nteam ops\nsoon\n2027-02-30\n2027-03-31\na\na\na\n");
        assert_eq!(answers.decisions, [Some(Approved); 4]);
        assert_eq!(answers.terms.owner, "team ops");
        assert_eq!(answers.terms.expires.to_string(), "2027-03-31");
        assert_eq!(text.matches("owner of what you approve").count(), 3);
        assert_eq!(text.matches("is no day").count(), 2);
    }

    #[test]
    fn the_page_reads_well_and_is_safe_to_look_at() {
        let (_, text) = review(&KEYS[..1], "?\ns\n");
        let want = "\
1 server waits for a decision; approvals go to approvals.yaml.
Only names were seen of 1: dns:mcp.example.

[1/1] http://a.test:80/1
    where     203.0.113.7
    what      tracker\\u{1b}[2J 1.2
    who       10.0.0.1 (agent 0.9)
    called    tool_0, tool_1, tool_2, tool_3, tool_4, tool_5, tool_6, tool_7 and 2 more
    auth      none
    evidence  MCP requests and their answers were read
    seen      2026-11-22T08:00:00.000000Z to 2026-11-22T08:00:00.000000Z
    mind      outside the network; in the clear; without authentication
approve? [a/h/s/r/q/?] ";
        assert!(text.starts_with(want), "{text}");
        assert!(text.contains(HELP));
    }

    #[test]
    fn nothing_to_review_asks_nothing() {
        let (answers, text) = review(&[], "");
        assert!(answers.decisions.is_empty());
        assert!(text.starts_with("0 servers wait"), "{text}");
        assert!(!text.contains("approve?"));
    }
}
