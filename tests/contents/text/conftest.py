from stand_ins import letters, table

__all__ = ["letters", "table"]
