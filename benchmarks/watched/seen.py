"""Loops that the rules were made with."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.watched.tasks import Bench, Residual, StripeNet, case, plain
from cnnviz.watching import WatchedRun

# Faulty loops that were written with the rules in view.


@case("zero-grad-missing")
def zero_grad_forgotten(bench: Bench) -> WatchedRun:
    return plain(bench, zero="never")


@case("zero-grad-missing")
def zero_grad_forgotten_adam(bench: Bench) -> WatchedRun:
    return plain(
        bench, "patches", zero="never", optimizer=lambda m, lr: torch.optim.Adam(m.parameters(), 1e-3)
    )


@case("zero-grad-missing")
def zero_grad_once_an_epoch(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", zero="never", at_epoch=lambda model, epoch: model.zero_grad())


@case("zero-grad-misplaced")
def zero_grad_between(bench: Bench) -> WatchedRun:
    return plain(bench, zero="between")


@case("zero-grad-misplaced")
def zero_grad_between_rows(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", zero="between")


@case("output-activation")
def softmax_in_the_network(bench: Bench) -> WatchedRun:
    return plain(bench, model=nn.Sequential(StripeNet(), nn.Softmax(1)))


@case("output-activation")
def softmax_in_the_loop(bench: Bench) -> WatchedRun:
    return plain(bench, "patches", wrap=lambda logits: torch.softmax(logits, 1))


@case("output-activation")
def sigmoid_at_the_end(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", wrap=torch.sigmoid)


@case("output-activation")
def relu_at_the_end(bench: Bench) -> WatchedRun:
    return plain(bench, "patches", model=nn.Sequential(Residual(), nn.ReLU()))


@case("loss-mismatch")
def nll_of_logits(bench: Bench) -> WatchedRun:
    return plain(bench, loss=lambda x, y: functional.nll_loss(x, y))


@case("loss-mismatch")
def nll_of_probabilities(bench: Bench) -> WatchedRun:
    return plain(
        bench,
        "rows",
        loss=lambda x, y: functional.nll_loss(x, y),
        wrap=lambda logits: torch.softmax(logits, 1),
    )


@case("training-in-eval-mode")
def never_in_training_mode(bench: Bench) -> WatchedRun:
    return plain(bench, train_mode="never")


@case("training-in-eval-mode")
def train_called_once(bench: Bench) -> WatchedRun:
    return plain(bench, "patches", train_mode="once")


@case("training-in-eval-mode")
def train_called_once_rows(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", train_mode="once", judge="loss")


@case("evaluation-mode")
def judged_in_training_mode(bench: Bench) -> WatchedRun:
    return plain(bench, eval_mode=False)


@case("evaluation-mode")
def judged_in_training_mode_rows(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", eval_mode=False, judge="own")


@case("optimizer-parameters")
def optimizer_of_an_earlier_network(bench: Bench) -> WatchedRun:
    return plain(bench, optimizer=lambda m, lr: torch.optim.SGD(StripeNet().parameters(), lr))


@case("optimizer-parameters")
def optimizer_without_the_head(bench: Bench) -> WatchedRun:
    return plain(bench, optimizer=lambda m, lr: torch.optim.SGD(m.features.parameters(), lr))  # type: ignore[union-attr,arg-type]


@case("loss-detached")
def loss_of_detached_logits(bench: Bench) -> WatchedRun:
    return plain(bench, wrap=lambda logits: logits.detach().requires_grad_())


@case("loss-detached")
def loss_made_of_data(bench: Bench) -> WatchedRun:
    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits.data, labels).requires_grad_()

    return plain(bench, "rows", loss=loss)


@case("optimizer-never-steps")
def step_forgotten(bench: Bench) -> WatchedRun:
    return plain(bench, step=False)


@case("optimizer-never-steps")
def step_forgotten_rows(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", step=False, judge="loss")


def by_class(epoch: int, part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A part sorted by its labels."""
    order = part[1].argsort()
    return part[0][order], part[1][order]


@case("not-shuffled")
def sorted_by_class(bench: Bench) -> WatchedRun:
    return plain(bench, data=by_class, shuffle=False)


@case("not-shuffled")
def sorted_by_class_patches(bench: Bench) -> WatchedRun:
    return plain(bench, "patches", data=by_class, shuffle=False, batch=16)


@case("same-batch")
def first_batch_only(bench: Bench) -> WatchedRun:
    def first(epoch: int, part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return part[0][:20].repeat(12, 1, 1, 1), part[1][:20].repeat(12)

    return plain(bench, data=first, shuffle=False)


@case("reinitialized")
def layers_reset_each_epoch(bench: Bench) -> WatchedRun:
    def reset(model: nn.Module, epoch: int) -> None:
        for part in model.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.reset_parameters()

    return plain(bench, at_epoch=reset)


@case("reinitialized")
def first_weights_loaded_each_epoch(bench: Bench) -> WatchedRun:
    model = Residual()
    first = copy.deepcopy(model.state_dict())
    return plain(bench, "patches", model=model, at_epoch=lambda m, epoch: m.load_state_dict(first) and None)


@case("scaled-twice")
def divided_by_255_again(bench: Bench) -> WatchedRun:
    return plain(bench, scale=1 / 255)


@case("labels-permuted")
def test_classes_in_another_order(bench: Bench) -> WatchedRun:
    return plain(bench, test_labels=lambda labels: torch.tensor([2, 3, 1, 0])[labels])


@case("labels-permuted")
def test_classes_reversed(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", test_labels=lambda labels: 5 - labels, judge="loss")


@case("labels-out-of-range")
def labels_from_one(bench: Bench) -> WatchedRun:
    return plain(bench, train_labels=lambda labels: labels + 1)


@case("scheduler-per-batch")
def step_schedule_per_batch(bench: Bench) -> WatchedRun:
    return plain(bench, batch_scheduler=lambda o, n: torch.optim.lr_scheduler.StepLR(o, 10, 0.1))


@case("scheduler-per-batch")
def exponential_schedule_per_batch(bench: Bench) -> WatchedRun:
    return plain(
        bench, "patches", batch_scheduler=lambda o, n: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)
    )


@case("gradient-accumulation-scale", "rate-too-high")
def accumulated_undivided(bench: Bench) -> WatchedRun:
    return plain(bench, accumulate=4, divide=False, epochs=8)


@case("frozen-parameters")
def all_frozen(bench: Bench) -> WatchedRun:
    model = StripeNet()
    extra = nn.Parameter(torch.zeros(1))

    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.shift = model.requires_grad_(False), extra

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x) + self.shift

    return plain(bench, model=Shifted())


# Correct loops that look suspicious.


@case(None)
def correct_stripes(bench: Bench) -> WatchedRun:
    return plain(bench)


@case(None)
def correct_patches(bench: Bench) -> WatchedRun:
    return plain(bench, "patches")


@case(None)
def correct_rows(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", judge="loss")


@case(None)
def clipped_by_norm(bench: Bench) -> WatchedRun:
    return plain(bench, before_step=lambda m: nn.utils.clip_grad_norm_(m.parameters(), 0.5) and None)


@case(None)
def clipped_by_value(bench: Bench) -> WatchedRun:
    return plain(bench, "patches", before_step=lambda m: nn.utils.clip_grad_value_(m.parameters(), 0.01))


@case(None)
def accumulated_and_divided(bench: Bench) -> WatchedRun:
    return plain(bench, accumulate=4, epochs=10)


@case(None)
def one_cycle_per_batch(bench: Bench) -> WatchedRun:
    return plain(
        bench, batch_scheduler=lambda o, n: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=n + 1)
    )


@case(None)
def cosine_over_all_steps(bench: Bench) -> WatchedRun:
    return plain(
        bench, "patches", batch_scheduler=lambda o, n: torch.optim.lr_scheduler.CosineAnnealingLR(o, n)
    )


@case(None)
def step_schedule_per_epoch(bench: Bench) -> WatchedRun:
    return plain(
        bench, "rows", epoch_scheduler=lambda o, n: torch.optim.lr_scheduler.StepLR(o, 3, 0.1), epochs=6
    )


@case(None)
def log_softmax_with_nll(bench: Bench) -> WatchedRun:
    return plain(
        bench, model=nn.Sequential(StripeNet(), nn.LogSoftmax(1)), loss=lambda x, y: functional.nll_loss(x, y)
    )


@case(None)
def log_softmax_with_cross_entropy(bench: Bench) -> WatchedRun:
    return plain(bench, "rows", wrap=lambda logits: functional.log_softmax(logits, 1))


@case(None)
def softmax_then_log_then_nll(bench: Bench) -> WatchedRun:
    return plain(
        bench, "patches", model=nn.Sequential(Residual(), nn.Softmax(1)),
        loss=lambda x, y: functional.nll_loss(x, y), wrap=lambda p: torch.log(p + 1e-12), judge="own",
    )  # fmt: skip


@case(None)
def frozen_trunk(bench: Bench) -> WatchedRun:
    model = StripeNet()
    model.features.requires_grad_(False)
    return plain(
        bench, model=model, optimizer=lambda m, lr: torch.optim.Adam(m.head.parameters(), 0.01), epochs=8
    )  # type: ignore[union-attr,arg-type]


@case(None)
def head_alone_in_the_optimizer(bench: Bench) -> WatchedRun:
    return plain(bench, optimizer=lambda m, lr: torch.optim.Adam(m.head.parameters(), 0.01), epochs=8)  # type: ignore[union-attr,arg-type]


@case(None)
def cleared_after_the_step(bench: Bench) -> WatchedRun:
    return plain(bench, "patches", zero="after")


@case(None)
def label_smoothing(bench: Bench) -> WatchedRun:
    return plain(bench, loss=lambda x, y: functional.cross_entropy(x, y, label_smoothing=0.1))


@case(None)
def class_weights(bench: Bench) -> WatchedRun:
    return plain(
        bench, "rows", loss=lambda x, y: functional.cross_entropy(x, y, weight=torch.linspace(0.5, 2, 6))
    )


@case(None)
def whole_set_as_one_batch(bench: Bench) -> WatchedRun:
    return plain(
        bench, "rows", batch=480, epochs=80, optimizer=lambda m, lr: torch.optim.Adam(m.parameters(), 0.01)
    )


@case(None)
def small_batches(bench: Bench) -> WatchedRun:
    return plain(
        bench, batch=4, epochs=2, optimizer=lambda m, lr: torch.optim.SGD(m.parameters(), 0.01, momentum=0.9)
    )


@case(None)
def weights_kept_in_a_ball(bench: Bench) -> WatchedRun:
    def shrink(model: nn.Module, step: int) -> None:
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() > 1:
                    p.mul_((4.0 / p.norm()).clamp(max=1.0))

    return plain(bench, "patches", after_step=shrink)


@case(None)
def curriculum_from_clear_to_noisy(bench: Bench) -> WatchedRun:
    def easy_first(epoch: int, part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        order = part[0].flatten(1).std(1).argsort(descending=True)
        return part[0][order], part[1][order]

    return plain(bench, data=easy_first, shuffle=False)


@case(None)
def loss_function_held_before_watching(bench: Bench) -> WatchedRun:
    return plain(bench, loss=functional.cross_entropy)
