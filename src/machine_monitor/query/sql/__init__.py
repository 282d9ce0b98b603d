"""SQL building blocks shared by lists, exports, facets and stats."""
