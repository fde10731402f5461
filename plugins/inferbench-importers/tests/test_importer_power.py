"""Power logs: trapezoids, window edges, gaps, missing devices, counters, closed forms by hand."""

import pytest
from inferbench_importers.power import Trace, integrate

import inferbench as ib

HEADER = "timestamp, index, power.draw [W]\n"


def smi(*rows):
    return HEADER + "".join(f"2025/03/04 10:00:{s:06.3f}, {device}, {watts}\n" for s, device, watts in rows)


def test_a_ramp_is_exact_and_edges_are_interpolated():
    # P = 100 t: from 0.5 to 2.5 s it is 50 x (6.25 - 0.25) = 300 J.
    ramp = Trace.of("0", [(t, 100.0 * t) for t in (0.0, 1.0, 2.0, 3.0)])
    log = integrate([ramp], "log", window=(0.5, 2.5))
    assert log.energy_j == pytest.approx(300.0)
    assert log.power_w == pytest.approx(150.0)
    assert log.peak_w == pytest.approx(250.0)


def test_a_window_inside_one_interval():
    log = integrate([Trace.of("0", [(0.0, 0.0), (2.0, 200.0)])], "log", window=(0.5, 1.0))
    assert log.energy_j == pytest.approx(50.0 * (1.0 - 0.25))


def test_windows_add_up():
    samples = [(0.0, 90.0), (0.7, 410.0), (1.9, 350.0), (3.0, 380.0)]
    whole, left, right = (
        integrate([Trace.of("0", samples)], "log", window=window).energy_j
        for window in ((0.2, 2.8), (0.2, 1.1), (1.1, 2.8))
    )
    assert whole == pytest.approx(left + right)


def test_unordered_and_repeated_samples():
    log = integrate([Trace.of("0", [(2.0, 100.0), (0.0, 100.0), (1.0, 7.0), (1.0, 100.0)])], "log")
    assert log.energy_j == pytest.approx(200.0)


def level(device, seconds, watts=100.0):
    return Trace.of(device, [(t, watts) for t in seconds])


@pytest.mark.parametrize(
    ("traces", "options", "message"),
    [
        ([level("0", [0, 1, 4.5, 5])], {}, "device 0 is silent for 3.5 s after 1 s; at most 3 s is allowed"),
        ([level("0", [0, 1, 2]), level("1", [])], {}, "no power of device 1"),
        ([level("0", [0, 1, 2])], {"devices": ["0", "1"]}, "no power of device 1"),
        (
            [level("0", range(9)), level("1", range(4))],
            {},
            "no power of device 1 for the last 5 s of the log",
        ),
        (
            [level("0", range(9)), level("1", range(5, 9))],
            {},
            "no power of device 1 for the first 5 s of the log",
        ),
        (
            [level("0", [0, 1, 2])],
            {"window": (1.0, 2.5)},
            "samples from 0.000 to 2.000 s, the window is 1.000 to 2.500",
        ),
        ([level("0", [0.0])], {}, "a window of 0 s"),
        ([], {}, "no power of any device"),
    ],
)
def test_logs_that_can_not_be_trusted(traces, options, message):
    with pytest.raises(ib.InferBenchError) as caught:
        integrate(traces, "log.csv", **options)
    assert message in str(caught.value)


def test_a_gap_outside_the_window_does_no_harm():
    log = integrate([level("0", [0, 9, 10, 11])], "log", window=(9.5, 10.5))
    assert log.energy_j == pytest.approx(100.0)


def test_nvidia_smi_sums_devices_over_the_time_all_cover(read):
    (row,) = read("nvidia_smi.csv")
    # From 0.5 s (device 1's first) to 2.0 s (device 0's last): (200 + 300) / 2 x 0.5 + 300 x 1 = 425 J, and
    # 200 x 1.5 = 300 J.
    assert row.extra["joules_by_device"] == {"0": pytest.approx(425.0), "1": pytest.approx(300.0)}
    assert row.energy_j == pytest.approx(725.0)
    assert row.power_w == pytest.approx(725.0 / 1.5)
    assert (row.chips, row.phase, row.boundary) == (2, "log", "board")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (smi((0, 0, "100 W"), (1, 0, "100 W"), (0, 1, "[N/A]"), (1, 1, "[N/A]")), "no power of device 1"),
        (smi((0, 0, "100 W"), (4, 0, "100 W")), "device 0 is silent for 4 s"),
        (smi((0, 0, "100 W"), (1, 0, "warm")), "line 3: 'warm' is no power like 412.34 W"),
        (HEADER + "yesterday, 0, 100 W\n", "line 2: 'yesterday' is no time like"),
        (smi((0, 0, "1 W")) + "2025/03/04 10:00", "line 3: 1 columns, 3 expected: it is cut short"),
        (
            "timestamp, power.draw [W]\n" + "2025/03/04 10:00:00.000, 100 W\n" * 2,
            "two powers at the same time and no column 'index'",
        ),
    ],
)
def test_nvidia_smi_bad_logs(written, read, text, message):
    with pytest.raises(ib.InferBenchError) as caught:
        read(written(text))
    assert message in str(caught.value)


def test_nvidia_smi_accepts_values_without_units_and_repeated_headers(written, read):
    (row,) = read(written(smi((0, 0, "100"), (1, 0, "100")) + smi((2, 0, "100"))))
    assert row.energy_j == pytest.approx(200.0)


def test_dcgm_series_agrees_with_its_counter(read, fixtures, written):
    (row,) = read("dcgm.prom")
    # 400 to 600 W and 300 W over 2 s; the counter gives 1 kJ (in mJ) for the first.
    assert (row.energy_j, row.power_w, row.chips) == (pytest.approx(1600.0), pytest.approx(800.0), 2)
    assert row.extra["DCGM_FI_PROF_SM_ACTIVE"] == 0.5
    text = (fixtures / "dcgm.prom").read_text()
    with pytest.raises(
        ib.InferBenchError, match=r"GPU-a: power integrates to 1000 J, its energy counter says 1 J"
    ):
        read(written(text.replace(" 6000000 ", " 5001000 ")))
    with pytest.raises(ib.InferBenchError, match=r"the energy counter of device GPU-a runs backwards"):
        read(written(text.replace(" 6000000 ", " 4000000 ")))


def test_dcgm_scrape_without_times(read):
    (row,) = read("dcgm_scrape.prom")
    assert (row.power_w, row.chips) == (700.0, 2)  # GPU 0 of two hosts are two
    assert row.caveats[0].startswith("no time stamps")
    assert row.energy_j != row.energy_j


@pytest.mark.parametrize(("watts", "said"), [("-400 W", "-400 W"), ("nan", "nan W"), ("inf W", "inf W")])
def test_a_power_that_can_not_be_is_refused_with_its_line(read, written, watts, said):
    path = written(smi((0, 0, "400 W"), (1, 0, watts), (2, 0, "400 W")), "smi.csv")
    with pytest.raises(
        ib.InferBenchError, match=f"smi.csv: line 3: {said}; a power of at least 0 was expected"
    ):
        read(path)


def test_a_trace_takes_no_negative_power_from_anyone():
    with pytest.raises(ib.InferBenchError, match="device 7 at 1 s: -1 W"):
        Trace.of("7", [(0.0, 5.0), (1.0, -1.0)])


def test_a_gap_in_a_log_is_called_a_gap_and_not_another_day(fixtures, tmp_path, read):
    """Read with the day first the log covers the window, and it is silent for four seconds of it."""
    run = fixtures / "mlperf/results/acme-8xH200/llama2-70b/Server/performance/run_1"
    for name in ("mlperf_log_summary.txt", "mlperf_log_detail.txt"):
        (tmp_path / name).write_text((run / name).read_text())
    lines = (run / "spl.txt").read_text().splitlines()
    (tmp_path / "spl.txt").write_text("\n".join([lines[0], lines[2]]) + "\n")
    with pytest.raises(ib.InferBenchError, match="silent for 4 s"):
        read(tmp_path / "mlperf_log_summary.txt")


def log_of(*lines):
    return "timestamp, index, name, power.draw [W], utilization.gpu [%]\n" + "".join(
        f"2026/03/01 10:00:{second:06.3f}, 0, NVIDIA X, {power} W, 98 %\n" for second, power in lines
    )


def test_an_even_pace_of_any_length_is_integrated_and_said(written, read):
    """100, 120, 140, 160 W every 6 s: 130 W over 18 s."""
    text = log_of(*((6.0 * k, f"{100 + 20 * k}.00") for k in range(4)))
    (row,) = read(written(text, "smi.csv"))
    assert (row.power_w, row.energy_j) == (pytest.approx(130.0), pytest.approx(2340.0))
    assert row.caveats == ("sampled every 6 s: what changes faster is not in the mean",)


def test_a_gap_in_an_even_pace_is_still_an_error(written, read):
    text = log_of(*((second, "100.00") for second in (0.0, 5.0, 10.0, 30.0, 35.0)))
    with pytest.raises(ib.InferBenchError, match="is silent for 20 s"):
        read(written(text, "smi.csv"))


def test_a_decimal_comma_is_no_comma_between_cells(written, read):
    (row,) = read(written(log_of((0.0, "200,50"), (1.0, "300,50")), "smi.csv"))
    assert row.power_w == pytest.approx(250.5)


def test_a_line_with_too_many_cells_is_an_error_with_its_line(written, read):
    text = log_of((0.0, "200.00"), (1.0, "300.00")).replace("300.00 W", "300.00, 1, 2 W")
    with pytest.raises(ib.InferBenchError, match=r"line 3: 7 columns, 5 expected"):
        read(written(text, "smi.csv"))


def test_amd_smi_has_headers_again_and_watts_without_a_unit(read):
    (row,) = read("amd_smi.csv")
    # From 1 to 3 s: (420 + 440) / 2 + (440 + 400) / 2 = 850 J and 510 + 510 = 1,020 J.
    assert (row.chips, row.energy_j, row.power_w) == (2, pytest.approx(1870.0), pytest.approx(935.0))


def test_a_backslash_in_a_label_is_read(fixtures, written, read):
    text = (fixtures / "dcgm.prom").read_text().replace('Hostname="', 'note="a\\\\b \\"c\\"",Hostname="')
    assert read(written(text))[0].power_w == read("dcgm.prom")[0].power_w
