"""Automatic rewards: raw scores by named, versioned sources. Import light; models load lazily."""
