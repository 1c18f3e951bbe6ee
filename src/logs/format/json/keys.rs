//! Which keys of an object mean what.

use super::super::super::meaning::Meaning;

/// Which message a header field is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Side {
    Request,
    Response,
}

/// What is done with the value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// It has that meaning.
    Is(Meaning),
    /// It has that meaning if the line has nothing better; of several the lowest rank is best.
    Otherwise(Meaning, usize),
    /// It is the value of that header field.
    Header(Side, Box<str>),
    /// It is all header fields of a message.
    Headers(Side),
}

/// Where the value of a key goes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Target<'k> {
    pub(super) to: Option<&'k To>,
    /// The format looks at it: number of the note.
    pub(super) note: Option<usize>,
}

/// A header field that the name of a key stands for.
pub(in super::super) type FieldOfKey = fn(&str) -> Option<(Side, String)>;

/// Keys of one format. A path has dots between the keys of nested objects (and passes through
/// arrays); a key that itself has such dots is found as well.
#[derive(Debug, Default)]
pub(in super::super) struct Keys {
    pub(super) root: Node,
    /// Words that say that there is nothing, beside those that all formats have.
    pub(super) absent: Vec<Box<str>>,
    /// Asked for a key that is not in the table.
    pub(super) field_of_key: Option<FieldOfKey>,
}

impl Keys {
    /// Keys that have meanings.
    pub(in super::super) fn of(table: &[(&str, Meaning)]) -> Self {
        Self::default().fields(table)
    }

    /// Further keys; one that is there already changes its meaning.
    pub(in super::super) fn fields(self, table: &[(&str, Meaning)]) -> Self {
        table.iter().fold(self, |keys, (path, meaning)| keys.put(path, To::Is(*meaning)))
    }

    /// Keys that are used where the line says the same nowhere else, the best first.
    pub(in super::super) fn otherwise(self, table: &[(&str, Meaning)]) -> Self {
        table.iter().enumerate().fold(self, |keys, (rank, (path, meaning))| {
            keys.put(path, To::Otherwise(*meaning, rank))
        })
    }

    /// A key of the value of a header field.
    pub(in super::super) fn header(self, side: Side, path: &str, name: &str) -> Self {
        self.put(path, To::Header(side, name.into()))
    }

    /// A key of all header fields of a message: an object of names and values, or an array of
    /// pairs (`{"name":…,"value":…}`, `{"key":…,"value":…}` or `[name, value]`).
    pub(in super::super) fn headers(self, side: Side, path: &str) -> Self {
        self.put(path, To::Headers(side))
    }

    /// A key that the format looks at; it may have a meaning beside that.
    pub(in super::super) fn note(self, path: &str, index: usize) -> Self {
        self.change(path, |entry| entry.note = Some(index))
    }

    /// Further words that say that there is nothing.
    pub(in super::super) fn absent<'w>(mut self, words: impl IntoIterator<Item = &'w str>) -> Self {
        self.absent.extend(words.into_iter().map(Into::into));
        self
    }

    /// Keys that are no part of the table but name header fields.
    pub(in super::super) fn field_of_key(mut self, field: FieldOfKey) -> Self {
        self.field_of_key = Some(field);
        self
    }

    /// The place of a key at the top, for those that look it up once.
    pub(in super::super) fn find(&self, key: &str) -> Option<usize> {
        self.root.find(key)
    }

    /// Where the value of the key at that place goes.
    pub(in super::super) fn target(&self, index: usize) -> Option<Target<'_>> {
        self.root.entries.get(index).map(Entry::target)
    }

    fn put(self, path: &str, to: To) -> Self {
        self.change(path, |entry| entry.to = Some(to.clone()))
    }

    fn change(mut self, path: &str, change: impl Fn(&mut Entry)) -> Self {
        if path.contains('.') {
            self.root.change_path(path, &change);
        }
        self.root.change(path, &change);
        self
    }
}

/// The keys of one level. A hash table with as many slots again as it has keys, at least.
#[derive(Debug, Default)]
pub(super) struct Node {
    entries: Vec<Entry>,
    /// Index of an entry, from 1; 0 is empty. As many as a power of two, or none.
    slots: Vec<u16>,
}

#[derive(Debug)]
pub(super) struct Entry {
    key: Box<str>,
    to: Option<To>,
    note: Option<usize>,
    pub(super) inside: Option<Box<Node>>,
}

impl Entry {
    pub(super) fn target(&self) -> Target<'_> {
        Target { to: self.to.as_ref(), note: self.note }
    }
}

/// Lengths and three letters tell the keys of a log apart well enough.
fn hash(key: &[u8]) -> usize {
    let at = |index: usize| key.get(index).map_or(0, |byte| usize::from(*byte));
    let len = key.len();
    let letters = at(0) ^ (at(len / 2) << 3) ^ (at(len.wrapping_sub(1)) << 6);
    letters.wrapping_mul(31).wrapping_add(len.wrapping_mul(131))
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(self.find(key)?)
    }

    fn find(&self, key: &str) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = hash(key.as_bytes());
        // An empty slot ends it: there are more slots than entries.
        loop {
            let index = usize::from(*self.slots.get(slot & mask)?).checked_sub(1)?;
            if *self.entries.get(index)?.key == *key {
                return Some(index);
            }
            slot = slot.wrapping_add(1);
        }
    }

    fn change_path(&mut self, path: &str, change: &impl Fn(&mut Entry)) {
        match path.split_once('.') {
            Some((first, rest)) => self.change(first, |entry| {
                entry.inside.get_or_insert_default().change_path(rest, change);
            }),
            None => self.change(path, change),
        }
    }

    fn change(&mut self, key: &str, change: impl Fn(&mut Entry)) {
        let found = self.entries.iter().position(|entry| *entry.key == *key);
        let index = found.unwrap_or(self.entries.len());
        if found.is_none() {
            self.entries.push(Entry { key: key.into(), to: None, note: None, inside: None });
            self.spread();
        }
        if let Some(entry) = self.entries.get_mut(index) {
            change(entry);
        }
    }

    fn spread(&mut self) {
        let wanted = (self.entries.len() * 4).next_power_of_two();
        self.slots.clear();
        self.slots.resize(wanted, 0);
        for (number, entry) in (1_u16..).zip(&self.entries) {
            let mut slot = hash(entry.key.as_bytes());
            while let Some(found) = self.slots.get_mut(slot & (wanted - 1)) {
                if *found == 0 {
                    *found = number;
                    break;
                }
                slot = slot.wrapping_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_large_table_is_found_and_no_other() {
        let names: Vec<String> = (0..500).map(|n| format!("key{n}")).collect();
        let keys = names.iter().enumerate().fold(Keys::default(), |k, (n, name)| k.note(name, n));
        for (number, name) in names.iter().enumerate() {
            assert_eq!(keys.root.get(name).unwrap().note, Some(number));
            assert!(keys.target(keys.find(name).unwrap()).is_some());
        }
        for name in ["", "key", "key500", "KEY1"] {
            assert!(keys.root.get(name).is_none(), "{name}");
        }
        assert!(Keys::default().root.get("key1").is_none());
    }

    #[test]
    fn a_path_is_found_nested_and_flat() {
        let keys = Keys::of(&[("http.request.method", Meaning::Method)]);
        let is = Some(To::Is(Meaning::Method));
        assert_eq!(keys.root.get("http.request.method").unwrap().to, is);
        let inside = |node: &Entry, key: &str| node.inside.as_ref().unwrap().get(key).is_some();
        let http = keys.root.get("http").unwrap();
        assert!(inside(http, "request"));
        assert_eq!(http.to, None);
    }

    #[test]
    fn the_last_meaning_of_a_key_holds() {
        let keys =
            Keys::of(&[("a", Meaning::Host), ("b", Meaning::Host)]).fields(&[("a", Meaning::Path)]);
        assert_eq!(keys.root.get("a").unwrap().to, Some(To::Is(Meaning::Path)));
    }
}
