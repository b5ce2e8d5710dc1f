"""The opponent: a pre-norm Transformer translator as a careful PyTorch user writes it. SDPA, one embedding for source, target and output,
the loss over real tokens only, the fused optimiser; decoding keeps keys and values of the tokens before, prepares those of the source once,
and drops finished sentences."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

PAD, UNK, BOS, EOS = 0, 1, 2, 3


class Attention(nn.Module):
    def __init__(self, size, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.memory, self.out = nn.Linear(size, size), nn.Linear(size, 2 * size), nn.Linear(size, size)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def keys(self, x):
        return [self.split(t) for t in self.memory(x).chunk(2, -1)]

    def forward(self, x, key, value, mask=None, causal=False):
        y = F.scaled_dot_product_attention(self.split(self.query(x)), key, value, attn_mask=mask, is_causal=causal,
                                           dropout_p=self.dropout if self.training else 0.0)
        return self.out(y.transpose(1, 2).reshape(x.shape))


class Layer(nn.Module):
    def __init__(self, size, hidden, heads, dropout, cross):
        super().__init__()
        self.self_norm, self.self_attention = nn.LayerNorm(size), Attention(size, heads, dropout)
        if cross:
            self.cross_norm, self.cross_attention = nn.LayerNorm(size), Attention(size, heads, dropout)
        self.norm, self.up, self.down, self.dropout = nn.LayerNorm(size), nn.Linear(size, hidden), nn.Linear(hidden, size), nn.Dropout(dropout)

    def feed(self, x):
        return x + self.dropout(self.down(self.dropout(F.relu(self.up(self.norm(x))))))


class Translator(nn.Module):
    def __init__(self, vocabulary, layers=3, size=256, hidden=1024, heads=4, dropout=0.1):
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(vocabulary, size, padding_idx=PAD)
        rates = torch.exp(torch.arange(0, size, 2) * (-math.log(10000.0) / size))
        angles = torch.arange(1024)[:, None] * rates
        self.register_buffer("places", torch.stack([angles.sin(), angles.cos()], 2).flatten(1), persistent=False)
        self.encoder = nn.ModuleList(Layer(size, hidden, heads, dropout, False) for _ in range(layers))
        self.decoder = nn.ModuleList(Layer(size, hidden, heads, dropout, True) for _ in range(layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.dropout, self.bias = nn.Dropout(dropout), nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.embedding.weight, 0, size ** -0.5)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def embed(self, ids, at=0):
        return self.dropout(self.embedding(ids) * math.sqrt(self.size) + self.places[at:at + ids.shape[1]])

    def encode(self, source):
        mask, x = (source != PAD)[:, None, None, :], self.embed(source)
        for layer in self.encoder:
            y = layer.self_norm(x)
            x = layer.feed(x + layer.dropout(layer.self_attention(y, *layer.self_attention.keys(y), mask=mask)))
        return self.encoder_norm(x), mask

    def forward(self, source, inputs, targets):
        memory, mask = self.encode(source)
        x = self.embed(inputs)
        for layer in self.decoder:
            y = layer.self_norm(x)
            x = x + layer.dropout(layer.self_attention(y, *layer.self_attention.keys(y), causal=True))
            x = layer.feed(x + layer.dropout(layer.cross_attention(layer.cross_norm(x), *layer.cross_attention.keys(memory), mask=mask)))
        real = targets != PAD
        return F.cross_entropy(F.linear(self.decoder_norm(x[real]), self.embedding.weight, self.bias), targets[real])

    @torch.inference_mode()
    def translate(self, source, beam, longest):
        """source (B, S) -> a list of ids for each row."""
        memory, mask = self.encode(source)
        done = [None] * len(source)
        alive = torch.arange(len(source))  # sentence of each group of `beam` rows
        rows = alive.repeat_interleave(beam)
        cross = [tuple(t[rows] for t in layer.cross_attention.keys(memory)) for layer in self.decoder]
        mask, past = mask[rows], [None] * len(self.decoder)
        tokens, outputs = torch.full((len(rows), 1), BOS), torch.empty(len(rows), 0, dtype=torch.long)
        scores = torch.full((len(source), beam), -1e9)
        scores[:, 0] = 0
        finished = [[] for _ in range(len(source))]
        for t in range(longest):
            x = self.embed(tokens, t)
            for i, layer in enumerate(self.decoder):
                y = layer.self_norm(x)
                new = layer.self_attention.keys(y)
                past[i] = tuple(new) if past[i] is None else tuple(torch.cat([a, b], 2) for a, b in zip(past[i], new))
                x = x + layer.self_attention(y, *past[i])
                x = layer.feed(x + layer.cross_attention(layer.cross_norm(x), *cross[i], mask=mask))
            logits = F.linear(self.decoder_norm(x[:, 0]), self.embedding.weight, self.bias)
            if beam == 1:
                tokens = logits.argmax(-1, keepdim=True)
                outputs = torch.cat([outputs, tokens], 1)
                over = (tokens[:, 0] == EOS).tolist()
                for row, end in enumerate(over):
                    if end:
                        done[alive[row]] = outputs[row, :-1].tolist()
                keep = groups = [row for row, end in enumerate(over) if not end]
            else:
                log_probs = F.log_softmax(logits, -1)
                vocabulary = log_probs.shape[1]
                best, index = (scores.view(-1, 1) + log_probs).view(len(alive), -1).topk(2 * beam, 1)
                best_l, parent_l, token_l = best.tolist(), (index // vocabulary).tolist(), (index % vocabulary).tolist()
                keep, groups, new_tokens, new_scores = [], [], [], []
                for g in range(len(alive)):
                    chosen = []
                    for rank in range(2 * beam):
                        row = g * beam + parent_l[g][rank]
                        if token_l[g][rank] == EOS:
                            if rank < beam:
                                finished[alive[g]].append((best_l[g][rank] / (t + 1), outputs[row].tolist()))
                        elif len(chosen) < beam:
                            chosen.append((row, token_l[g][rank], best_l[g][rank]))
                    if len(finished[alive[g]]) >= beam:
                        done[alive[g]] = max(finished[alive[g]])[1]
                        continue
                    groups.append(g)
                    keep += [c[0] for c in chosen]
                    new_tokens += [c[1] for c in chosen]
                    new_scores.append([c[2] for c in chosen])
                scores, tokens = torch.tensor(new_scores), torch.tensor(new_tokens).view(-1, 1)
                outputs = torch.cat([outputs[keep], tokens], 1) if keep else outputs
            if not keep:
                break
            if beam > 1 or len(keep) < len(alive):
                index = torch.tensor(keep)
                past = [tuple(t[index] for t in of_layer) for of_layer in past]
                if beam == 1:
                    tokens, outputs = tokens[index], outputs[index]
                if len(groups) < len(alive):
                    at = torch.tensor([g * beam + b for g in groups for b in range(beam)]) if beam > 1 else index
                    cross, mask, alive = [tuple(t[at] for t in of_layer) for of_layer in cross], mask[at], alive[torch.tensor(groups)]
        for g, sentence in enumerate(alive.tolist()):
            if done[sentence] is None:
                done[sentence] = max(finished[sentence])[1] if finished[sentence] else outputs[g * beam].tolist()
        return done
