//! tmp
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Exclusive,
    Weak,
    Shared,
    Ambiguous,
}
#[derive(Clone, Copy, Debug)]
pub struct Method {
    pub class: Class,
}
pub fn lookup(_: &str) -> Option<&'static Method> {
    None
}
