"""A health model as text for people. Pure."""

from analytics.health.model import HealthModel

MICRO = 1_000_000


def model_table(model: HealthModel) -> str:
    """Signals by group with weight, share and curve; bands, trend, what happens without data, segments."""
    lines = [f"{model.version}: {model.label}", ""]
    for group in model.groups:
        own = [signal for signal in model.signals if signal.group == group]
        share = sum(signal.weight for signal in own) / model.total_weight
        lines.append(f"{group} ({share:.0%})")
        for signal in own:
            curve = ", ".join(f"{x:g}: {y:g}" for x, y in signal.curve.points)
            lines.append(
                f"  {signal.name:<20} {signal.weight:>4} {signal.weight / model.total_weight:>5.0%}  {signal.label}"
            )
            missing = (
                "lowers coverage where it is missing" if signal.expected else "does not count where it does not apply"
            )
            lines.append(f"  {'':<20} points by {signal.unit} {curve}; {missing}")
    bounds = ", ".join(f"{band.name} from {band.lower / MICRO:g}" for band in model.bands)
    lines += ["", f"bands: {bounds}"]
    if model.hysteresis.margin:
        margin, memory = model.hysteresis.margin / MICRO, model.hysteresis.ticks
        lines.append(f"  better only {margin:g} points above a bound, remembered for {memory} days")
    trend = model.trend
    lines.append(
        f"trend: mean of {trend.recent_ticks} days against the {trend.earlier_ticks} before, "
        f"beyond {trend.noise / MICRO:g} points"
    )
    rules = {signal.staleness for signal in model.signals}
    for rule in sorted(rules, key=lambda each: (each.limit_days, each.hold_days)):
        lines.append(
            f"without data: fresh for {rule.limit_days} days, held for {rule.hold_days}, "
            f"then to {rule.prior:g} points in {rule.decay_days}"
        )
    for segment in model.segments:
        wanted = "; ".join(f"{name} {', '.join(sorted(values))}" for name, values in segment.wanted.items())
        weights = ", ".join(f"{name} {weight}" for name, weight in segment.weights.items())
        lines.append(f"segment {segment.name} ({segment.label}): {wanted}; weights {weights}")
    return "\n".join(lines)
