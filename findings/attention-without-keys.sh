#!/usr/bin/env bash
# torch 2.13.0 and jax 0.10.2: what a query attends to when every key is masked: 0, NaN, or all of them
#
# One would expect: attention is softmax(scores) @ values, so a query with no key left is 0 / 0, NaN, as from
#   softmax.
# What happens: torch's fused attention answers 0; torch's MultiheadAttention answers 0 without and NaN with
#   need_weights=True; jax.nn.dot_product_attention answers the plain mean of all masked values with mask=, and NaN
#   with the same mask as a bias of -inf.
# Seen: values 1, 2, 6: torch 0; jax 3 (mask) and NaN (bias); both softmaxes NaN.
# Why it matters: with a kernel that ends, a query beyond all samples is that row. 0 and the mean of the whole sample
#   are numbers like any other, so neither tells that nothing was near, and a model moved from one library to the
#   other changes its answers just there.
# Source: pytorch pull request 133882 (0 for rows with no key); for jax found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'torch==2.13.0' 'jax==0.10.2' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import jax
import jax.numpy as jnp
import numpy as np
import torch

mask = np.array([[True, False, False], [False, False, False]])  # the second query has no key
bias = np.where(mask, 0, -np.inf).astype(np.float32)
values = np.array([1, 2, 6], np.float32)

torch_values = torch.tensor(values).reshape(1, 1, 3, 1)
fused = torch.nn.functional.scaled_dot_product_attention
by_torch = fused(torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 3, 1), torch_values, attn_mask=torch.tensor(mask)).ravel()

heads = torch.nn.MultiheadAttention(1, 1, bias=False, batch_first=True)
inputs = (torch.zeros(1, 2, 1), torch.zeros(1, 3, 1), torch.tensor(values).reshape(1, 3, 1))
with_weights, without = (
    heads(*inputs, attn_mask=torch.tensor(~mask), need_weights=need)[0].ravel()[1].item() for need in (True, False)
)

arrays = (jnp.zeros((1, 2, 1, 1)), jnp.zeros((1, 3, 1, 1)), jnp.array(values).reshape(1, 3, 1, 1))
by_mask = jax.nn.dot_product_attention(*arrays, mask=jnp.array(mask)[None, None]).ravel()
by_bias = jax.nn.dot_product_attention(*arrays, bias=jnp.array(bias)[None, None]).ravel()

print("torch:", by_torch.tolist(), " MultiheadAttention with weights:", with_weights, " without:", without)
print("jax, mask:", by_mask, " bias:", by_bias)
assert by_torch.tolist() == [1, 0] and np.isnan(with_weights) and without == 0
assert np.allclose(by_mask, [1, 3]) and by_bias[0] == 1 and np.isnan(by_bias[1])
assert torch.softmax(torch.tensor(bias[1]), 0).isnan().all() and np.isnan(jax.nn.softmax(jnp.array(bias[1]))).all()
END
