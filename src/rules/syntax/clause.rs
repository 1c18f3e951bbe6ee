//! Conditions as written.
//!
//! A clause is a map whose entries must all hold. An entry is `all`, `any` or `none` with a list
//! of clauses, `not` with a clause, or a field with an operand: `{operator: value, ...}`, or as
//! short forms a scalar (`is`) or a list (`in`).

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::rules::problem::Located;

/// A map of conditions, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clause(pub Vec<Entry>);

/// One condition of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `all`, `any`, `none`, `not`, or the name of a field.
    pub key: Located<String>,
    /// What follows it.
    pub term: Term,
}

/// What follows a key of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// After `all`, `any`, `none`.
    Many(Vec<Clause>),
    /// After `not`.
    One(Clause),
    /// After the name of a field.
    Test(Located<Operand>),
}

/// What a field is tested for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// Operators and their values, all of which must hold.
    Operators(Vec<(Located<String>, Located<Scalar>)>),
    /// The short form: a scalar stands for `is`, a list for `in`.
    Short(Scalar),
}

/// A value in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Bool(bool),
    /// Several values.
    List(Vec<Located<Self>>),
    /// Something that no operator takes, by the name of its type.
    Other(&'static str),
}

impl<'de> Deserialize<'de> for Clause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClauseVisitor)
    }
}

struct ClauseVisitor;

impl<'de> Visitor<'de> for ClauseVisitor {
    type Value = Clause;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of conditions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Clause, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Located<String>>()? {
            let term = match key.value.as_str() {
                "all" | "any" | "none" => Term::Many(map.next_value()?),
                "not" => Term::One(map.next_value()?),
                _ => Term::Test(map.next_value()?),
            };
            entries.push(Entry { key, term });
        }
        Ok(Clause(entries))
    }
}

impl<'de> Deserialize<'de> for Operand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OperandVisitor)
    }
}

struct OperandVisitor;

impl<'de> Visitor<'de> for OperandVisitor {
    type Value = Operand;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an operator and its value, a value, or a list of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Operand, A::Error> {
        let mut operators = Vec::new();
        while let Some(name) = map.next_key::<Located<String>>()? {
            operators.push((name, map.next_value()?));
        }
        Ok(Operand::Operators(operators))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Operand, A::Error> {
        ScalarVisitor.visit_seq(seq).map(Operand::Short)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Operand, E> {
        ScalarVisitor.visit_str(value).map(Operand::Short)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Operand, E> {
        ScalarVisitor.visit_bool(value).map(Operand::Short)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Operand, E> {
        ScalarVisitor.visit_i64(value).map(Operand::Short)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Operand, E> {
        ScalarVisitor.visit_u64(value).map(Operand::Short)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Operand, E> {
        ScalarVisitor.visit_f64(value).map(Operand::Short)
    }

    fn visit_unit<E: Error>(self) -> Result<Operand, E> {
        ScalarVisitor.visit_unit().map(Operand::Short)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a map"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Scalar::List(items))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Other("a number out of range"), Scalar::Number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other("a decimal number"))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other("nothing"))
    }
}
