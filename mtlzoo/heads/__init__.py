"""Heads: from the representation of a task to its prediction.

```python
mtlzoo.build("mmoe", ..., head=heads.Tower((128, 64), dropout=0.2))
mtlzoo.build("mmoe", ..., head={"click": heads.Tower(()), "price": heads.Tower((64,))})
```
"""

from mtlzoo.heads._tower import Tower

__all__ = ["Tower"]
