mod conditions;
mod golden;
mod properties;
mod shipped;
