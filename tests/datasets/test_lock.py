import threading

from skspike.datasets._lock import locked


def test_a_second_one_waits_for_the_first(tmp_path):
    order, entered = [], threading.Event()

    def second():
        entered.set()
        with locked(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "lock"):
        thread.start()
        assert entered.wait(5)
        thread.join(0.05)
        assert thread.is_alive()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_an_error_gives_the_lock_back(tmp_path):
    try:
        with locked(tmp_path / "lock"):
            raise KeyError
    except KeyError:
        pass
    with locked(tmp_path / "lock"):
        pass
