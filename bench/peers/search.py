"""What both translators among the opponents share: batches of ids, and greedy and beam search that keeps one search going for a batch and
drops finished sentences."""
import torch
import torch.nn.functional as F

PAD, UNK, BOS, EOS = 0, 1, 2, 3


def pad(rows):
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


@torch.inference_mode()
def translate(model, source, beam, longest):
    """source (B, S), sorted by length, longest first -> a list of ids for each row. Of the model: open(source, rows) -> what is read of the
    source, tensors by row, and the past; advance(tokens, t, memory, past) -> logits and the past; pick(past, rows)."""
    done = [None] * len(source)
    alive = torch.arange(len(source))  # sentence of each group of `beam` rows
    memory, past = model.open(source, alive.repeat_interleave(beam))
    tokens = torch.full((len(source) * beam, 1), BOS)
    outputs = torch.empty(len(tokens), 0, dtype=torch.long)
    scores = torch.full((len(source), beam), -1e9)
    scores[:, 0] = 0
    finished = [[] for _ in range(len(source))]
    for t in range(longest):
        logits, past = model.advance(tokens, t, memory, past)
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
            past = model.pick(past, index)
            if beam == 1:
                tokens, outputs = tokens[index], outputs[index]
            if len(groups) < len(alive):
                at = torch.tensor([g * beam + b for g in groups for b in range(beam)]) if beam > 1 else index
                memory, alive = [tensor[at] for tensor in memory], alive[torch.tensor(groups)]
    for g, sentence in enumerate(alive.tolist()):
        if done[sentence] is None:
            done[sentence] = max(finished[sentence])[1] if finished[sentence] else outputs[g * beam].tolist()
    return done
