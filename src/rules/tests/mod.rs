mod conditions;
mod golden;
mod properties;
mod shipped;
mod stand_in;
